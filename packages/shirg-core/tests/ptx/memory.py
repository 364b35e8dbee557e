"""Global and shared memory of the PTX machine, with a log of who touched which byte since the last barrier.

Two accesses of one byte race when different threads make them with no barrier between them, one of them changes the
byte, and not both are atomic. Across programs of a launch there is no barrier at all.
"""

from __future__ import annotations

import numpy as np

from .parse import Code

STRIDE = 4096  # stamps are epoch · STRIDE + thread + 1
MANY, ATOMIC = STRIDE - 1, STRIDE - 2


class DataRaceError(AssertionError):
    """Two unordered accesses of one byte."""


class Area:
    """A stretch of memory that addresses from `start` on lead to."""

    def __init__(self, name: str, start: int, data: np.ndarray, *, between_programs: bool = False):
        self.name, self.start, self.data = name, start, data
        self.written, self.read = (np.zeros(len(data), np.int64) for _ in range(2))
        self.writer, self.reader = (np.zeros(len(data) if between_programs else 0, np.int32) for _ in range(2))
        self.atomic = np.zeros(len(self.writer), bool)


class Log:
    """Where a launch stands: barriers passed so far, the program that runs, and the instruction it executes."""

    def __init__(self, code: Code):
        self.code, self.epoch, self.program, self.instruction = code, 1, 1, 0

    @property
    def where(self) -> str:
        """The line of the kernel's source, and the opcode."""
        at = self.code.instructions[self.instruction]
        return f"{at.line} ({at.opcode})"


class Memory:
    """Areas, found by address."""

    def __init__(self, areas: list[Area], log: Log):
        self.areas, self.log = areas, log

    def _places(self, address, size: int, count: int) -> tuple[Area, np.ndarray]:
        """The area of the addresses, and each byte's place in it: `[threads, count · size]`."""
        first = int(address[0])
        for area in self.areas:
            if area.start <= first < area.start + len(area.data):
                break
        else:
            raise IndexError(f"{self.log.where}: address {first:#x} lies in no tensor")
        place = (address - np.uint64(area.start)).astype(np.int64)
        if place.min() < 0 or place.max() + size * count > len(area.data):
            raise IndexError(
                f"{self.log.where}: outside of {area.name}, {len(area.data)} bytes: {place.min()}…{place.max()}"
            )
        if (place % (size * count)).any():
            raise IndexError(f"{self.log.where}: an access of {size * count} bytes that is not aligned")
        return area, place[:, None] + np.arange(size * count)

    def load(self, address, threads, dtype, count: int = 1) -> np.ndarray:
        """`[count, threads]` of dtype."""
        size = np.dtype(dtype).itemsize
        area, at = self._places(address, size, count)
        self._note_read(area, at, threads)
        return area.data[at].view(dtype).reshape(len(address), count).T

    def store(self, address, threads, values) -> None:
        """`values [count, threads]`."""
        raw = np.ascontiguousarray(np.stack(values, axis=1))
        size, count = raw.itemsize, raw.shape[1]
        area, at = self._places(address, size, count)
        raw = raw.view(np.uint8)
        self._note_write(area, at, threads, area.data[at] != raw)
        area.data[at] = raw
        if (area.data[at] != raw).any():
            raise DataRaceError(f"{self.log.where}: threads write different values to one place of {area.name}")

    def will_store(self, address, threads, size: int) -> None:
        """A store of `size` bytes each that will come later: nobody may still be reading what is there."""
        area, at = self._places(address, size, 1)
        self._note_write(area, at, threads, np.ones(at.shape, bool))

    def reduce(self, address, threads, values, combine: np.ufunc) -> None:
        """An atomic; what it returns on a GPU depends on the order of arrival, so nothing is returned here."""
        area, at = self._places(address, values.itemsize, 1)
        self._note_write(area, at, threads, np.ones(at.shape, bool), atomic=True)
        combine.at(area.data.view(values.dtype), at[:, 0] // values.itemsize, values)

    def _note_read(self, area: Area, at, threads) -> None:
        log, me = self.log, threads[:, None] + 1
        epoch, who = np.divmod(area.written[at], STRIDE)
        if ((epoch == log.epoch) & (who != me)).any():
            raise DataRaceError(f"{log.where}: reads {area.name} where another thread wrote since the last barrier")
        before = area.read[at]
        others = (before // STRIDE == log.epoch) & (before % STRIDE != me)
        area.read[at] = log.epoch * STRIDE + np.where(others, MANY, me)
        shared = area.read[at] != log.epoch * STRIDE + np.where(others, MANY, me)  # by this very instruction
        area.read[at[shared]] = log.epoch * STRIDE + MANY
        if len(area.reader):
            if ((area.writer[at] != 0) & (area.writer[at] != log.program)).any():
                raise DataRaceError(f"{log.where}: reads {area.name} where another program of the launch writes")
            seen = area.reader[at]
            area.reader[at] = np.where((seen == 0) | (seen == log.program), log.program, -1)

    def _note_write(self, area: Area, at, threads, changes, *, atomic: bool = False) -> None:
        log, me = self.log, ATOMIC if atomic else threads[:, None] + 1
        for stamps, verb in ((area.written, "wrote"), (area.read, "read")):
            epoch, who = np.divmod(stamps[at], STRIDE)
            own = who == threads[:, None] + 1
            if ((epoch == log.epoch) & ~own & (who != me) & changes).any():
                raise DataRaceError(
                    f"{log.where}: writes {area.name} where another thread {verb} since the last barrier"
                )
        area.written[at] = log.epoch * STRIDE + np.broadcast_to(me, at.shape)
        if len(area.writer):
            for programs, verb in ((area.writer, "writes"), (area.reader, "reads")):
                seen = programs[at]
                harmless = area.atomic[at] if atomic and verb == "writes" else False
                if ((seen != 0) & (seen != log.program) & changes & ~np.broadcast_to(harmless, at.shape)).any():
                    raise DataRaceError(f"{log.where}: writes {area.name} where another program of the launch {verb}")
            area.writer[at], area.atomic[at] = log.program, atomic
