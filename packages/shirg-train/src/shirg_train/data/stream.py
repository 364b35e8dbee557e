"""This rank's endless stream of samples: deterministic, resumable anywhere, with corrupt samples skipped and counted.

Epochs follow each other without a gap. Place p of the run is sample `order(epoch = p // n)[p % n]`; rank r of R takes
the places r, r + R, r + 2R, …, so every sample of an epoch goes to exactly one rank, and none is dropped or repeated to
make numbers fit. The place of a rank is how many of its places it has passed.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyarrow import ArrowException

from shirg_train.data.arrow_source import GROUPS_IN_MEMORY
from shirg_train.data.order import epoch_order
from shirg_train.data.record import CorruptSampleError, Source
from shirg_train.data.samples import Reader, TrainingSample
from shirg_train.recipe import RecipeError

_log = logging.getLogger(__name__)
GIVE_UP_AFTER = 1000
"""Corrupt samples of one epoch in a row; by then it is the reader or the folder that is wrong, not the samples."""


class SampleStream:
    """Iterate for samples, without end.

    Args:
        source: where samples are.
        reader: makes them out of records.
        seed: of the order.
        held_out: samples that are never trained on.
        rank: of this process.
        world: number of ranks.
        workers: threads that decode ahead; 0 decodes when asked. The samples are the same.

    Attributes:
        skipped: corrupt samples by kind, since the start of the run.
    """

    def __init__(
        self,
        source: Source,
        reader: Reader,
        *,
        seed: int = 0,
        held_out: NDArray[np.int64] | None = None,
        rank: int = 0,
        world: int = 1,
        workers: int = 0,
    ) -> None:
        if not 0 <= rank < world:
            raise ValueError(f"0 ≤ rank < world must hold, got {rank} and {world}")
        if workers < 0:
            raise ValueError(f"workers must be ≥ 0, got {workers}")
        self.source, self.reader, self.workers = source, reader, workers
        self.seed, self.rank, self.world = seed, rank, world
        self.held_out = np.zeros(0, np.int64) if held_out is None else held_out
        if len(self) < 1:
            raise ValueError(f"no samples to train on: {len(source)} there, {len(self.held_out)} held out")
        self.skipped: Counter[str] = Counter()
        self._passed = 0
        self._order = lru_cache(maxsize=2)(self._epoch_order)

    def __len__(self) -> int:
        """Samples of an epoch, over all ranks, corrupt ones included."""
        return len(self.source) - len(self.held_out)

    def __iter__(self) -> Iterator[TrainingSample]:
        """Samples from the present place on.

        Raises:
            RecipeError: a source that cannot be read, `GIVE_UP_AFTER` corrupt samples of one epoch in a row, or all the
                samples there are, one after the other.
        """
        failed: set[int] = set()
        in_a_row = at_epoch = 0
        for epoch, index, outcome in self._outcomes(self._passed):
            self._passed += 1
            if isinstance(outcome, TrainingSample):
                in_a_row = 0
                failed.clear()
                yield outcome
                continue
            # In a small file the last of one epoch and the first of the next may well be the same few.
            in_a_row = in_a_row + 1 if epoch == at_epoch else 1
            at_epoch = epoch
            failed.add(index)
            self.skipped[str(outcome).partition(":")[0]] += 1
            _log.warning("skipped a corrupt sample (%d so far): %s", self.skipped.total(), outcome)
            if in_a_row >= GIVE_UP_AFTER or len(failed) == len(self):
                raise RecipeError(
                    f"{max(in_a_row, len(failed))} samples in a row cannot be trained on; the last one: {outcome}"
                )

    def state_dict(self) -> dict[str, Any]:
        """The place after the last sample that was yielded, as what JSON can hold."""
        return {"passed": self._passed, "skipped": dict(self.skipped), **self._identity()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go to a place; takes effect on the next `iter`.

        Raises:
            ValueError: a place in another stream.
        """
        for name, mine in self._identity().items():
            if state.get(name) != mine:
                raise ValueError(f"this place belongs to another stream: {name} {state.get(name)}, not {mine}")
        self._passed = int(state["passed"])
        self.skipped = Counter(state["skipped"])

    def _identity(self) -> dict[str, int | str]:
        place = {"seed": self.seed, "rank": self.rank, "world": self.world}
        return {"samples": len(self), "data": self.source.fingerprint, **place}

    def _epoch_order(self, epoch: int) -> NDArray[np.int64]:
        n, groups = len(self.source), self.source.groups
        return epoch_order(n, epoch, self.seed, held_out=self.held_out, groups=groups, window=GROUPS_IN_MEMORY // 2)

    def _read(self, index: int, epoch: int) -> TrainingSample | CorruptSampleError:
        try:
            return self.reader(self.source.read(index), epoch)
        except CorruptSampleError as error:
            return CorruptSampleError(f"{error} (sample {index})")
        except (OSError, ArrowException) as error:
            # Images are the reader's work and make single samples corrupt: this is the file that holds all of them.
            raise RecipeError(f"data: sample {index} cannot be read: {error}") from error

    def _outcomes(self, passed: int) -> Iterator[tuple[int, int, TrainingSample | CorruptSampleError]]:
        """Epoch, number, and the sample or what is wrong with it, place by place."""
        places = ((epoch, int(self._order(epoch)[at])) for epoch, at in self._places(passed))
        if not self.workers:
            for epoch, index in places:
                yield epoch, index, self._read(index, epoch)
        with ThreadPoolExecutor(self.workers) as pool:
            ahead: deque[tuple[int, int, Future[TrainingSample | CorruptSampleError]]] = deque()
            for epoch, index in places:
                ahead.append((epoch, index, pool.submit(self._read, index, epoch)))
                if len(ahead) > 4 * self.workers:
                    first, number, read = ahead.popleft()
                    yield first, number, read.result()

    def _places(self, passed: int) -> Iterator[tuple[int, int]]:
        while True:
            yield divmod(passed * self.world + self.rank, len(self))
            passed += 1
