"""The order of an epoch, and which samples are held out; both follow from the seed alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from shirg_train.seeds import derive


def held_out_indices(n: int, count: int, seed: int) -> NDArray[np.int64]:
    """`count` of n samples, ascending, chosen at random.

    Raises:
        ValueError: nothing would be left to train on.
    """
    if not 0 <= count < n:
        raise ValueError(f"held_out must be at least 0 and below the {n} samples there are, got {count}")
    rng = np.random.default_rng(derive(seed, "held out"))
    return np.sort(rng.permutation(n)[:count]).astype(np.int64)


def epoch_order(
    n: int, epoch: int, seed: int, *, held_out: NDArray[np.int64], groups: Sequence[int] | None = None, window: int = 1
) -> NDArray[np.int64]:
    """The training samples in the order of one epoch.

    Args:
        n: samples there are.
        epoch: from 0.
        seed: of the run.
        held_out: samples to leave out.
        groups: sizes of runs of samples that are cheap to read together; None shuffles freely.
        window: so many groups, themselves shuffled, are shuffled into each other.
    """
    rng = np.random.default_rng(derive(seed, "epoch", epoch))
    if groups is None:
        order = rng.permutation(n)
    else:
        starts = np.cumsum(groups) - np.array(groups)
        shuffled = rng.permutation(len(groups))
        windows = [shuffled[at : at + window] for at in range(0, len(shuffled), window)]
        order = np.concatenate(
            [rng.permutation(np.concatenate([starts[g] + np.arange(groups[g]) for g in some])) for some in windows]
        )
    kept = np.ones(n, np.bool_)
    kept[held_out] = False
    return order[kept[order]].astype(np.int64)
