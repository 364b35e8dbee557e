"""Deduplication by predictive coding, PixelPrune (arXiv 2604.00886): drop what its neighbours already show.

In raster order, with a = left, b = above and c = above left of token x, each standing for what it was replaced by:

    p = b  where d(c, a) ≤ τ < d(c, b) (a vertical border runs left of x), else a        first column: b, first row: a
    x is dropped where d(x, p) ≤ τ, and p stands for it from then on; else it is kept, and stands for itself

so nothing that is dropped lies further than τ from what stands for it. d is the largest (`max`) or the mean (`mean`)
absolute difference of two tokens' channels. The paper fixes τ and keeps as many as that gives. Here τ is bisected per
image to the smallest value that keeps no more than K, and the places that are still free go to the dropped tokens
furthest from their prediction, ties to the lowest index: blank paper is all alike at τ = 0, and kept in index order.

**It compares what it is given.** The paper's patches are pixels, before the vision tower. `shirg select` and `compare`
pass it pixels, and so do `shirg_core.hf.prune`, LaViDa's path and the ablations (`select_on="pixels"`); called with a
tower's features, it deduplicates features, which is another method. Views do not predict one another; neither do pinned
views, which are kept, nor padding.

Exact K: yes. Needs: features only. Cost: O(N·D) for each of 17 passes, h + w steps one after another in each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias, Unpack, get_args

import torch
from torch import Tensor

from shirg_core.baselines.similarity import valid_tokens
from shirg_core.budget import Budget, check_budget
from shirg_core.checks import check_choice
from shirg_core.constants import constant
from shirg_core.layout import ViewLayout
from shirg_core.scores import snap
from shirg_core.selection import Selection
from shirg_core.selection.assemble import keep_best, prepared
from shirg_core.selection.inputs import Inputs

HALVINGS = 16
Metric: TypeAlias = Literal["max", "mean"]


@dataclass(frozen=True)
class Deduplication:
    """Keep the K tokens that their neighbours predict worst.

    Args:
        budget: K ≥ 1, or a fraction in (0, 1] of the selectable tokens.
        metric: d, `max` (the paper's) or `mean`.
    """

    budget: Budget
    metric: Metric = "max"

    def __post_init__(self) -> None:
        check_budget(self.budget)
        check_choice("metric", self.metric, get_args(Metric))

    def __call__(self, features: Tensor, layout: ViewLayout, **inputs: Unpack[Inputs]) -> Selection:
        """Choose tokens; shapes and errors as in `Selector`.

        Scores are 1 for tokens kept at τ, and below ½ for the others, the larger the worse they are predicted.
        """
        features, k = prepared(features, layout, self.budget, inputs)
        with torch.no_grad():
            x, waves = features.float(), neighbours(layout, features.device)
            real = valid_tokens(x, layout)
            # No two tokens are further apart than this.
            high = _reduce(real.amax(1) - real.amin(1), self.metric)
            bound, low = high.clamp_min(torch.finfo(torch.float32).tiny), high.new_full(high.shape, -1.0)
            for _ in range(HALVINGS):
                middle = (low + high) / 2
                kept, _ = predict(x, middle, waves, self.metric)
                fits = kept.sum(1) <= k
                low, high = torch.where(fits, low, middle), torch.where(fits, middle, high)
            kept, error = predict(x, high, waves, self.metric)
            scores = snap(torch.where(kept, 1.0, error / bound[:, None] / 2.5), layout)
        return keep_best(features, layout, k, scores, f"dedup-{self.metric}")


class Wave(NamedTuple):
    """Tokens of one anti-diagonal of all views, whose neighbours lie on the two before: all `[m]`, int64 and bool."""

    here: Tensor
    left: Tensor
    above: Tensor
    corner: Tensor
    has_left: Tensor
    has_above: Tensor
    has_corner: Tensor


@constant
def neighbours(layout: ViewLayout, device: torch.device) -> tuple[Wave, ...]:
    """The waves in order. A neighbour that is not there (border, padding, pinned view) is the token itself."""
    waves: dict[int, list[list[int]]] = {}
    for start, view in zip(layout.starts, layout.views, strict=True):
        valid = view.valid if view.valid is not None else (True,) * view.n_tokens
        for r in range(view.h):
            for c in range(view.w):
                here = start + r * view.w + c
                if not valid[here - start]:
                    continue
                row = [here]
                for dr, dc in ((0, 1), (1, 0), (1, 1)):
                    there = here - dr * view.w - dc
                    fits = not view.pinned and r >= dr and c >= dc and valid[there - start]
                    row.append(there if fits else here)
                waves.setdefault(r + c, []).append(row)
    tables = [torch.tensor(waves[at], device=device).T for at in sorted(waves)]
    return tuple(Wave(*table, *(table[1:] != table[0])) for table in tables)


def predict(x: Tensor, threshold: Tensor, waves: tuple[Wave, ...], metric: Metric) -> tuple[Tensor, Tensor]:
    """One pass.

    Args:
        x: `[B, N, D]` float32.
        threshold: `[B]` τ.
        waves: from `neighbours`.
        metric: d.

    Returns:
        `[B, N]` bool, kept, and `[B, N]` float32, d(x, p), 0 for tokens without a prediction.
    """
    batch, n, _ = x.shape
    stands = torch.arange(n, device=x.device).expand(batch, n).contiguous()
    kept = torch.zeros(batch, n, dtype=torch.bool, device=x.device)
    error = x.new_zeros(batch, n)
    rows, tau = torch.arange(batch, device=x.device)[:, None], threshold[:, None]
    for wave in waves:
        a, b, c = (stands[:, at] for at in (wave.left, wave.above, wave.corner))
        at_c = x[rows, c]
        border = (_reduce(at_c - x[rows, a], metric) <= tau) & (_reduce(at_c - x[rows, b], metric) > tau)
        use_b = wave.has_above & (~wave.has_left | (wave.has_corner & border))
        p = torch.where(use_b, b, a)
        distance = _reduce(x[:, wave.here] - x[rows, p], metric)
        new = ~(wave.has_left | wave.has_above) | (distance > tau)
        stands[:, wave.here] = torch.where(new, wave.here, p)
        kept[:, wave.here], error[:, wave.here] = new, distance
    return kept, error


def _reduce(difference: Tensor, metric: Metric) -> Tensor:
    """`[…, D]` → `[…]`."""
    size = difference.abs()
    return size.amax(-1) if metric == "max" else size.mean(-1)
