"""How long a program would take: its instructions in order, each waiting for what it reads. An estimate only.

All warps of a program are taken to move together, and nothing is reordered: an instruction takes its warps' issue
slots, and its result is there a latency later. Global memory is L2 at a first touch and L1 from then on. That is crude,
but kernels that one program per image or view runs, and whose stages wait for each other, are long for just these
reasons: it tells which stage is long, and whether a change shortens it. Constants are those of Hopper, rounded.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict

import numpy as np

from .parse import Code, Instruction

REGISTER = re.compile(r"%[a-z]+\d+")
L1, L2, SHUFFLE, PLAIN = 33, 280, 25, 5  # latencies in cycles
NO_RESULT = ("st", "red", "bar", "bra", "ret", "cp", "fence", "stmatrix")
# Cycles in which a warp's instruction keeps one of four schedulers, and latency, where they are not 1 and `PLAIN`.
SLOW = {"cvt": (2, 6), "div": (8, 40), "sqrt": (8, 40), "rem": (8, 40), "ex2": (2, 20)}
ADDRESSES = re.compile(r"(mad|mul)\.(wide|lo)|\.[subf]64$")


class Clock:
    """Cycles since a program began, and how many of them each source line took."""

    def __init__(self, code: Code):
        self.warps = code.threads / 32
        self.steps = [self._step(i) for i in code.instructions]
        self.now, self.by_line = 0.0, Counter()
        self.ready: dict[str, float] = defaultdict(float)
        self.cached: set[int] = set()
        self.loading: tuple[list[str], float] = ([], 0.0)

    def _step(self, i: Instruction) -> tuple[str, float, float, list[str], list[str]]:
        """Line, issue cycles, latency, registers written and read."""
        stem = i.opcode.split(".")[0]
        written = [] if stem in NO_RESULT or not i.operands else REGISTER.findall(i.operands[0])
        read = [r for operand in i.operands[bool(written) :] for r in REGISTER.findall(operand)]
        if i.guard is not None:
            read += [i.guard[1], *written]
        slots, latency = SLOW.get(stem, (2, 10) if ADDRESSES.search(i.opcode) else (1, PLAIN))
        cycles = slots * self.warps / 4
        words = (2 if i.opcode.endswith("64") else 1) * max(1, len(written) if stem == "ld" else 1)
        if ".param" in i.opcode:
            cycles, latency = 0, 0
        elif stem in ("ld", "st", "ldmatrix", "stmatrix"):
            cycles, latency = self.warps * words, L1
        elif stem in ("red", "atom"):
            cycles, latency = self.warps * 4, L1
        elif stem in ("shfl", "redux", "vote"):
            cycles, latency = self.warps / 2, SHUFFLE
        elif stem == "bar":
            cycles = 20 + self.warps / 2
        return i.line.rsplit(":", 1)[0], cycles, latency, written, read

    def at(self, instruction: int) -> None:
        """The next instruction."""
        line, cycles, latency, written, read = self.steps[instruction]
        end = max([self.now, *(self.ready[r] for r in read)]) + cycles
        self.by_line[line] += end - self.now
        self.now, self.loading = end, (written, end)
        for register in written:
            self.ready[register] = end + latency

    def touch(self, address: np.ndarray, *, atomic: bool = False) -> None:
        """The global memory that this instruction reads, or that its atomics change in L2."""
        lines = set((np.unique(address) // 128).tolist())
        if atomic:
            self.cached -= lines
        elif lines - self.cached:
            self.cached |= lines
            written, end = self.loading
            for register in written:
                self.ready[register] = end + L2
