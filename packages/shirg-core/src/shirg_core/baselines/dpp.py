"""CDPruner (arXiv 2506.10967): greedy MAP of a determinantal point process conditioned on the text.

    L̃   = diag(r̃) · C · diag(r̃)                       C = cosines of the tokens, r̃ = relevance in [0, 1]
    r_i = mean_j cos(v_i, t_j),  r̃ = min–max of r over the image
    S   = argmax_{|S| = K} det(L̃_S), greedily: add the token with the largest gain det(L̃_{S+i}) / det(L̃_S)

The gains are residuals d_i² of an incremental Cholesky factorisation (Chen et al. 2018, arXiv 1709.05135):

    pick j = argmax d²;   e_i = (L̃_ji − Σ_t c_tj c_ti) / d_j;   d_i² ← d_i² − e_i²;   c ← [c; e]

Gains are compared on a grid of 2⁻²⁰, about float32's noise in them, ties to the lowest index. Where none is left above
it, or after D tokens, the chosen ones span everything (the kernel's rank is at most D); then the greedy choice starts
again, from nothing, on the tokens not yet taken. (The authors' code goes on with what rounding left, and picks tokens
twice.) A relevance that is constant over the image counts as 1 everywhere. Pinned tokens are picked first.
`relevance="uniform"` says on purpose that there is no text: r̃ = 1, an unconditional DPP.

With `parts` = P, token i belongs to part i mod P, and each part chooses K/P of its own by a kernel of its own: at most
a P-th of the work. Neighbours fall into different parts, so near copies may be kept once in each, which costs
accuracy at small K: measured by `shirg ablate --what parts`.

Exact K: yes. Needs: `text`, unless uniform. Cost: O(N²·D + N·K²), K steps one after another; N×N and K×N in memory,
one image at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, Unpack, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from shirg_core.baselines.similarity import cosine_matrix, pinned_tokens, scores_from_order, valid_tokens
from shirg_core.budget import Budget, check_budget, kept_tokens
from shirg_core.checks import check_choice, integer, keep
from shirg_core.eager import can_ask, usable, without_gradients
from shirg_core.layout import ViewLayout
from shirg_core.precision import without_autocast
from shirg_core.scores import minmax, snap
from shirg_core.selection import Selection
from shirg_core.selection.assemble import keep_best, without_padding
from shirg_core.selection.inputs import Inputs, check_inputs

GAIN_GRID = 2**20
COSINE_NOISE = 2**-20
"""Mean cosines that lie closer together than this differ by rounding."""

Relevance: TypeAlias = Literal["text", "uniform"]


@dataclass(frozen=True)
class ConditionalDPP:
    """Keep K tokens that are relevant to the text and unlike one another.

    Args:
        budget: K ≥ 1, or a fraction in (0, 1] of the selectable tokens.
        relevance: `text`, or `uniform`: every token matters the same.
        parts: P ≥ 1; 1 = the authors' method, 2 = two interleaved halves.
    """

    budget: Budget
    relevance: Relevance = "text"
    parts: int = 1

    def __post_init__(self) -> None:
        check_budget(self.budget)
        check_choice("relevance", self.relevance, get_args(Relevance))
        keep(self, integer, "parts", low=1)

    def __call__(self, features: Tensor, layout: ViewLayout, **inputs: Unpack[Inputs]) -> Selection:
        """Choose tokens; shapes and errors as in `Selector`. Scores fall with the order of choice."""
        check_inputs(features, layout, **inputs)
        text = inputs.get("text")
        if self.relevance == "text" and text is None:
            raise ValueError("CDPruner weighs tokens by relevance and needs `text` [B, M, D], or relevance='uniform'")
        k = kept_tokens(self.budget, layout)
        features = without_padding(features, layout)
        with without_gradients():
            weight = torch.ones(features.shape[:2], dtype=torch.float32, device=features.device)
            if self.relevance == "text" and text is not None:
                weight = conditional_weight(features, text, inputs.get("text_mask"), layout)
            pinned = pinned_tokens(layout, features.device)
            pairs = zip(valid_tokens(features, layout), valid_tokens(weight, layout), strict=True)
            rank = features.shape[2]
            picks = [split_map(x, w, k, rank, pinned, self.parts) for x, w in pairs]
            scores = snap(scores_from_order(picks, layout), layout)
        return keep_best(features, layout, k, usable(scores), "cdpruner" if self.relevance == "text" else "dpp")


@without_autocast
def conditional_weight(features: Tensor, text: Tensor, text_mask: Tensor | None, layout: ViewLayout) -> Tensor:
    """r̃ `[B, N]`: mean cosine with the text tokens, min–max normalised; 1 where it is constant."""
    directions = F.normalize(text.float(), dim=-1)
    asked = torch.ones(text.shape[:2], dtype=torch.bool, device=text.device) if text_mask is None else text_mask
    share = asked.float() / asked.float().sum(1, keepdim=True)
    mean = [s @ t for s, t in zip(share, directions.masked_fill(~asked[..., None], 0.0), strict=True)]
    rows = [F.normalize(x.float(), dim=-1) @ t for x, t in zip(features, mean, strict=True)]
    relevance = torch.stack(rows)
    weight = minmax(relevance, layout, "image")
    real = valid_tokens(relevance, layout)
    # Near 0 the noise of equal cosines is not small beside them, so `minmax` alone would take it for relevance.
    varies = (weight.amax(1) > 0) & (real.amax(1) - real.amin(1) > COSINE_NOISE)
    return torch.where(varies[:, None], weight, 1.0)


def split_map(tokens: Tensor, weight: Tensor, k: int, rank: int, pinned: Tensor, parts: int) -> Tensor:
    """`greedy_map` of `tokens [n, D]` with relevance `weight [n]`; pinned tokens first, then the parts' in turn."""
    if parts == 1:
        return greedy_map(_kernel(tokens, weight), k, rank, pinned)
    fixed = torch.zeros(len(tokens), dtype=torch.uint8, device=tokens.device).index_fill(0, pinned, 1)
    rest = fixed.argsort(stable=True)[: len(tokens) - len(pinned)]
    order = rest.new_empty(k - len(pinned))
    for part in range(min(parts, len(order))):
        own = rest[part::parts]
        share = len(order[part::parts])
        chosen = greedy_map(_kernel(tokens[own], weight[own]), share, rank, pinned[:0])
        order[part::parts] = own[chosen]
    return torch.cat([pinned, order])


@without_autocast
def greedy_map(kernel: Tensor, k: int, rank: int, pinned: Tensor) -> Tensor:
    """Greedy maximisation of the determinant.

    Args:
        kernel: `[n, n]` float32, positive semi-definite up to rounding.
        k: tokens to choose, at least as many as pinned.
        rank: of the kernel, at most. Cosines on a grid exceed it by their rounding, which is not worth choosing by.
        pinned: `[p]` int64, picked first.

    Returns:
        `[k]` int64 in the order of choice.
    """
    picks, asks = list(pinned[:, None]), can_ask(kernel)
    diagonal = kernel.diagonal()
    gain, first = diagonal, diagonal.mul(GAIN_GRID).round_().clamp_min_(0.0)
    taken = torch.zeros_like(gain, dtype=torch.bool)
    factor, rows = kernel.new_zeros(k, kernel.shape[0]), torch.arange(k, device=kernel.device)
    # The row of the last start, from which on rows count: a number where a CPU can be asked whether to start again.
    start: Tensor | int = 0 if asks else rows.new_zeros(())
    for row in range(k):
        if row >= pinned.numel():
            # In units of 2⁻²⁰.
            best, pick = gain.mul(GAIN_GRID).round_().masked_fill_(taken, -torch.inf).max(0, keepdim=True)
            if not asks:
                spent = (best[0] <= 0) | (row - start >= rank)
                start, gain = torch.where(spent, row, start), torch.where(spent, diagonal, gain)
                pick = torch.where(spent, first.masked_fill(taken, -torch.inf).argmax(0, keepdim=True), pick)
            elif float(best) <= 0 or row - start >= rank:
                start, gain, pick = row, diagonal, first.masked_fill(taken, -torch.inf).argmax(0, keepdim=True)
            picks.append(pick)
        pick = picks[row]
        taken.index_fill_(0, pick, value=True)
        left = gain.index_select(0, pick)
        before = factor[:row].index_select(1, pick)[:, 0]
        if not asks or start > 0:
            before = before * (rows[:row] >= start)
        direction = (kernel.index_select(0, pick)[0] - before @ factor[:row]).div_(
            left.clamp_min(1 / GAIN_GRID).sqrt_()
        )
        # A pick that the others already span adds no direction; dividing by its vanishing rest would make noise.
        if not asks:
            direction = torch.where(left > 1 / GAIN_GRID, direction, 0.0)
        elif not float(left) > 1 / GAIN_GRID:
            continue
        factor[row] = direction
        gain = torch.addcmul(gain, direction, direction, value=-1.0)
    return torch.cat(picks)


def _kernel(tokens: Tensor, weight: Tensor) -> Tensor:
    return cosine_matrix(tokens).mul_(weight).mul_(weight[:, None])
