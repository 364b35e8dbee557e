"""What selectors share: the checked call, and from scores to a `Selection`, by regions, ranking, gather and summary."""

from __future__ import annotations

import torch
from torch import Tensor

from shirg_core.budget import Budget, kept_tokens
from shirg_core.coverage import cell_regions, cluster_regions, quadtree_regions
from shirg_core.layout import ViewLayout
from shirg_core.selection import Selection, gather_tokens
from shirg_core.selection.choose import choose
from shirg_core.selection.inputs import Inputs, check_inputs
from shirg_core.selection.summary import summarise


def without_padding(features: Tensor, layout: ViewLayout) -> Tensor:
    """Zero the padding tokens, so that whatever they hold (NaN included) reaches nothing."""
    if not layout.has_padding:
        return features
    return features.masked_fill(~layout.valid_mask(features.device)[:, None], 0.0)


def prepared(features: Tensor, layout: ViewLayout, budget: Budget, inputs: Inputs) -> tuple[Tensor, int]:
    """Check a selector's call, with what it was given beside features and layout: `without_padding`, and K.

    Raises:
        ValueError: see `check_inputs`; a budget that the layout cannot serve.
    """
    check_inputs(features, layout, **inputs)
    return without_padding(features, layout), kept_tokens(budget, layout)


def find_regions(
    coverage: str, features: Tensor, layout: ViewLayout, k: int, share: float, *, norm: Tensor | None = None
) -> Tensor:
    """`[B, N]` int64 regions by `clusters`, `cells`, `quadtree` or `none` (the whole image is one); −1 for padding.

    `norm` is `feature_magnitude(features)`, where it is known.

    Raises:
        ValueError: an unknown word, or a budget too small for its regions.
    """
    if coverage == "clusters":
        return cluster_regions(features.detach(), layout, k, share, norm=norm)
    if coverage == "cells":
        # A copy: the cells are shared by all calls on this layout, and what is returned is the caller's.
        return cell_regions(layout, k, share, features.device).expand(features.shape[0], -1).clone()
    if coverage == "quadtree":
        return quadtree_regions(features.detach(), layout, k, share)
    if coverage == "none":
        regions = features.new_zeros(features.shape[:2], dtype=torch.int64)
        return regions.masked_fill_(~layout.valid_mask(features.device), -1) if layout.has_padding else regions
    raise ValueError(f"coverage must be clusters, cells, quadtree or none, got {coverage!r}")


def assemble(
    features: Tensor,
    layout: ViewLayout,
    k: int,
    scores: Tensor,
    regions: Tensor,
    summary: str = "none",
    weights: Tensor | None = None,
    method: str | None = None,
    *,
    indices: Tensor | None = None,
) -> Selection:
    """Rank, gather and summarise.

    Args:
        features: `[B, N, D]`; gradients flow to it.
        layout: geometry of the N tokens.
        k: K.
        scores: `[B, N]` float32 on the 2⁻¹⁶ grid (`scores.snap`).
        regions: `[B, N]` int64, −1 for padding.
        summary: `mean`, `attention` (needs `weights`), or `none`.
        weights: `[B, N]` ≥ 0, attention received.
        method: the name that the result carries.
        indices: `[B, K]`, what was chosen, where that is known.
    """
    if indices is None:
        indices = choose(scores, regions, layout, k)
    token = None
    if summary != "none":
        token = summarise(features, indices, layout, weights if summary == "attention" else None)
    return Selection(indices, scores, regions, gather_tokens(features, indices), token, layout, method)


def keep_best(features: Tensor, layout: ViewLayout, k: int, scores: Tensor, method: str | None = None) -> Selection:
    """The K tokens of the highest scores, without coverage and without a summary; arguments as in `assemble`."""
    regions = find_regions("none", features, layout, k, 0.0)
    return assemble(features, layout, k, scores, regions, method=method, indices=choose(scores, None, layout, k))
