"""SHIRG-v2 and SHIRG-v3 in plain PyTorch: the meaning of both, which every other implementation must reproduce.

Scores are constants of the computation (`no_grad`); gradients reach the features through the gather and the summary.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from shirg_core.budget import kept_tokens
from shirg_core.choose import choose
from shirg_core.coverage import cell_regions, cluster_regions
from shirg_core.layout import ViewLayout
from shirg_core.scores import (
    attention_deviation,
    channel_variance,
    combine,
    feature_magnitude,
    minmax,
    received_from_deviation,
    spatial_gradient,
    text_relevance,
)
from shirg_core.selection import Selection, gather_tokens
from shirg_core.summary import summarise

if TYPE_CHECKING:
    from shirg_core.presets import ShirgV2, ShirgV3


def select_v2(
    config: ShirgV2,
    features: Tensor,
    layout: ViewLayout,
    *,
    text: Tensor | None,
    text_mask: Tensor | None,
    edges: Tensor | None,
    attention: Tensor | None,
) -> Selection:
    """SHIRG-v2 on validated inputs; shapes as in `Selector`."""
    k = kept_tokens(config.budget, layout)
    features = without_padding(features, layout)
    with torch.no_grad():
        components = []
        if config.alpha > 0:
            components.append((config.alpha, minmax(channel_variance(features), layout, "view")))
        if config.relevance_weight > 0 and text is not None:
            components.append(
                (config.relevance_weight, minmax(text_relevance(features, text, text_mask), layout, "image"))
            )
        if config.beta > 0 and edges is not None:
            components.append((config.beta, minmax(edges, layout, "image")))
        scores = combine(components, features, layout)
        regions = find_regions(config.coverage, features, layout, k, config.coverage_share)
    return assemble(features, layout, k, scores, regions, config.summary, attention)


def select_v3(config: ShirgV3, features: Tensor, layout: ViewLayout, *, attention: Tensor | None) -> Selection:
    """SHIRG-v3 on validated inputs; shapes as in `Selector`."""
    k = kept_tokens(config.budget, layout)
    features = without_padding(features, layout)
    with torch.no_grad():
        components = []
        if config.needs_attention:
            attention, received = _attention(config, features, layout, attention)
            components.append((config.attention_weight, received))
        if config.magnitude_weight > 0:
            components.append((config.magnitude_weight, minmax(feature_magnitude(features), layout, "view")))
        if config.gradient_weight > 0:
            components.append((config.gradient_weight, minmax(spatial_gradient(features, layout), layout, "view")))
        scores = combine(components, features, layout)
        regions = find_regions(config.coverage, features, layout, k, config.coverage_share)
    return assemble(features, layout, k, scores, regions, config.summary, attention)


def without_padding(features: Tensor, layout: ViewLayout) -> Tensor:
    """Zero the padding tokens, so that whatever they hold (NaN included) reaches nothing."""
    if not layout.has_padding:
        return features
    return features.masked_fill(~layout.valid_mask(features.device)[:, None], 0.0)


def find_regions(coverage: str, features: Tensor, layout: ViewLayout, k: int, share: float) -> Tensor:
    """`[B, N]` int64 regions by `clusters`, `cells`, or `none` (the whole image is one region); −1 for padding.

    Raises:
        ValueError: an unknown word, or a budget too small for its regions.
    """
    if coverage == "clusters":
        return cluster_regions(features.detach(), layout, k, share)
    if coverage == "cells":
        # A copy: the cells are shared by all calls on this layout, and what is returned is the caller's.
        return cell_regions(layout, k, share, features.device).repeat(features.shape[0], 1)
    if coverage == "none":
        return (layout.valid_mask(features.device).long() - 1).repeat(features.shape[0], 1)
    raise ValueError(f"coverage must be clusters, cells or none, got {coverage!r}")


def assemble(
    features: Tensor,
    layout: ViewLayout,
    k: int,
    scores: Tensor,
    regions: Tensor,
    summary: str = "none",
    weights: Tensor | None = None,
) -> Selection:
    """Rank, gather and summarise: the second half of every selector.

    Args:
        features: `[B, N, D]`; gradients flow to it.
        layout: geometry of the N tokens.
        k: K.
        scores: `[B, N]` float32 on the 2⁻¹⁶ grid (`scores.snap`).
        regions: `[B, N]` int64, −1 for padding.
        summary: `mean`, `attention` (needs `weights`), or `none`.
        weights: `[B, N]` ≥ 0, attention received.
    """
    indices = choose(scores, regions, layout, k)
    token = None
    if summary != "none":
        token = summarise(features, indices, layout, weights if summary == "attention" else None)
    return Selection(indices, scores, regions, gather_tokens(features, indices), token)


def keep_best(features: Tensor, layout: ViewLayout, k: int, scores: Tensor) -> Selection:
    """The K tokens of the highest scores, without coverage and without a summary; arguments as in `assemble`."""
    return assemble(features, layout, k, scores, find_regions("none", features, layout, k, 0.0))


def _attention(config: ShirgV3, features: Tensor, layout: ViewLayout, given: Tensor | None) -> tuple[Tensor, Tensor]:
    """A, raw and normalised; from its deviation where it is computed, which keeps small differences."""
    if given is not None:
        return given, minmax(given, layout, "image")
    deviation = attention_deviation(features, layout, temperature=config.temperature)
    return received_from_deviation(deviation, layout), minmax(deviation, layout, "image", offset=1.0)
