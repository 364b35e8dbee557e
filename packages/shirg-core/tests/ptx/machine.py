"""Runs a kernel's programs one after the other, in any order, all threads of one in lock step.

Lock step is one of the orders a GPU may choose; what another order could change is a race, and those are caught where
they happen (`memory`). A branch on which the threads of a program disagree is refused: Triton's code has none.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import numpy as np
import torch

from .arithmetic import TYPES
from .clock import Clock
from .memory import Area, Log, Memory
from .parse import Code
from .translate import SHARED_BASE


class Program:
    """One program (thread block) and its state."""

    def __init__(self, arguments: list[int], memory: Memory, shared_bytes: int, threads: int, special: dict[str, int]):
        self.arguments, self.memory, self.log = arguments, memory, memory.log
        self.threads = np.arange(threads)
        area = Area("shared memory", SHARED_BASE, np.full(shared_bytes, 0xFF, np.uint8))
        self.shared = Memory([area], memory.log)
        self.special = {name: np.full(threads, value, np.uint32) for name, value in special.items()}
        self.special["tid.x"] = self.threads.astype(np.uint32)
        self.open_copies, self.committed = [], []
        self.clock: Clock | None = None

    def at(self, instruction: int) -> None:
        """Said before each instruction."""
        self.log.instruction = instruction
        if self.clock is not None:
            self.clock.at(instruction)

    def full(self, value) -> np.ndarray:
        """A value of every thread."""
        return value if np.ndim(value) else np.full(len(self.threads), value)

    def bits(self, value, dtype) -> np.ndarray:
        """A result as a register holds it."""
        value = self.full(value)
        if value.dtype == dtype:
            return value
        if value.itemsize == np.dtype(dtype).itemsize:
            return value.view(dtype)
        return value.astype(f"u{value.itemsize}" if value.dtype.kind == "f" else value.dtype).astype(dtype)

    def parameter(self, place: int, dtype) -> np.ndarray:
        raw = np.array([self.arguments[place] & (1 << 64) - 1], np.uint64).view(dtype)[0]
        return np.full(len(self.threads), np.int64(raw) if dtype is np.int32 else raw)

    def uniform(self, guard) -> bool:
        guard = np.asarray(guard)
        if guard.any() != guard.all():
            raise NotImplementedError(f"{self.log.where}: threads of one program part ways")
        return bool(guard.all())

    def barrier(self) -> None:
        self.log.epoch += 1

    def shuffle(self, mode: str, value, amount, clamp: int) -> np.ndarray:
        """`shfl.sync` over full warps."""
        lane = self.threads % 32
        amount = np.asarray(amount).astype(np.int64)
        source = {"bfly": lane ^ amount, "up": lane - amount, "idx": amount % 32 + 0 * lane}[mode]
        if clamp != (0 if mode == "up" else 31):
            raise NotImplementedError(f"{self.log.where}: a shuffle within parts of a warp")
        source = np.where((source < 0) | (source > 31), lane, source)
        return value[self.threads - lane + source]

    def load(self, space: str, address, dtype, old: list, guard) -> list[np.ndarray]:
        memory = self.memory if space == "global" else self.shared
        self._touch(space, address, guard)
        if guard is None:
            return list(memory.load(address, self.threads, dtype, len(old)))
        result = [np.array(x) for x in old]
        if guard.any():
            got = memory.load(address[guard], self.threads[guard], dtype, len(old))
            for register, values in zip(result, got, strict=True):
                register[guard] = values.astype(f"u{values.itemsize}") if values.itemsize < 4 else values
        return result

    def store(self, space: str, address, values: list, guard) -> None:
        memory = self.memory if space == "global" else self.shared
        if guard is None:
            memory.store(address, self.threads, values)
        elif guard.any():
            memory.store(address[guard], self.threads[guard], [v[guard] for v in values])

    def reduce(self, space: str, address, values, combine: np.ufunc, guard) -> None:
        memory = self.memory if space == "global" else self.shared
        self._touch(space, address, guard, atomic=True)
        guard = np.ones(len(self.threads), bool) if guard is None else guard
        if guard.any():
            memory.reduce(address[guard], self.threads[guard], values[guard], combine)

    def _touch(self, space: str, address, guard, *, atomic: bool = False) -> None:
        if self.clock is not None and space == "global":
            self.clock.touch(address if guard is None else address[guard], atomic=atomic)

    def copy_later(self, to, source, size: int, present, guard) -> None:
        """`cp.async`: arrives when its group is waited for."""
        guard = np.ones(len(self.threads), bool) if guard is None else guard
        if guard.any():
            self.shared.will_store(to[guard], self.threads[guard], size)
        self.open_copies.append((to[guard], source[guard], size, present[guard], self.threads[guard]))

    def commit(self) -> None:
        self.committed.append(self.open_copies)
        self.open_copies = []

    def wait(self, pending: int) -> None:
        while len(self.committed) > pending:
            for to, source, size, present, threads in self.committed.pop(0):
                words = np.zeros((size // 4, len(to)), np.uint32)
                for amount in np.unique(present[present > 0]):
                    some = present == amount
                    words[: amount // 4, some] = self.memory.load(source[some], threads[some], np.uint32, amount // 4)
                if len(to):
                    self.shared.store(to, threads, list(words))


def run(
    code: Code,
    blocks: list[Callable],
    grid: tuple[int, ...],
    arguments: list[object],
    shared_bytes: int,
    seed: int = 0,
    clocks: list[Clock] | None = None,
) -> None:
    """Run every program of a grid, in an order drawn from the seed.

    Args:
        code: the kernel.
        blocks: its blocks as functions (`translate`).
        grid: programs per dimension.
        arguments: CPU tensors and numbers for the kernel's parameters; the compiler's own come last and are 0.
        shared_bytes: shared memory of a program.
        seed: for the order of programs.
        clocks: gets a clock per program, in that order.

    Raises:
        DataRaceError: two accesses of a byte are not ordered.
        IndexError: an access lies outside of the tensors, or is not aligned.
    """
    grid = (*grid, 1, 1)[:3]
    raw = [_raw(argument) for argument in arguments] + [0] * (len(code.parameters) - len(arguments))
    log = Log(code)
    memory = Memory(_areas(arguments), log)
    zeros = {kind: np.zeros(code.threads, TYPES[kind]) for kind in set(code.registers.values())}
    with np.errstate(all="ignore"):
        for number in np.random.default_rng(seed).permutation(np.prod(grid)):
            place = np.unravel_index(number, grid[::-1])[::-1]
            special = {f"ctaid.{axis}": at for axis, at in zip("xyz", place, strict=True)}
            special |= {f"nctaid.{axis}": size for axis, size in zip("xyz", grid, strict=True)}
            log.program, log.epoch = int(number) + 1, log.epoch + 1
            program = Program(raw, memory, shared_bytes, code.threads, special)
            if clocks is not None:
                program.clock = Clock(code)
                clocks.append(program.clock)
            registers = [zeros[kind] for kind in code.registers.values()]
            block = 0
            while block >= 0:
                block = blocks[block](registers, program)


def _raw(argument: object) -> int:
    """A parameter's bits: an address, a number, or those of a float32."""
    if isinstance(argument, torch.Tensor):
        return argument.data_ptr()
    return int(np.float32(argument).view(np.uint32)) if isinstance(argument, float) else int(argument)


def _areas(arguments: list[object]) -> list[Area]:
    """The memory of all tensors, each from its first to its last element; those of one storage share it."""
    extents: dict[int, tuple[str, int, int]] = {}
    for place, argument in enumerate(arguments):
        if isinstance(argument, torch.Tensor):
            start = argument.data_ptr()
            last = sum((size - 1) * stride for size, stride in zip(argument.shape, argument.stride(), strict=True))
            name, low, high = f"argument {place}", start, start + (last + 1) * argument.element_size()
            key = argument.untyped_storage().data_ptr()
            if key in extents:
                other, other_low, other_high = extents[key]
                name, low, high = f"{other} and {place}", min(low, other_low), max(high, other_high)
            extents[key] = name, low, high
    areas = []
    for name, low, high in extents.values():
        data = np.frombuffer((ctypes.c_char * (high - low)).from_address(low), np.uint8)
        areas.append(Area(name, low, data, between_programs=True))
    return areas
