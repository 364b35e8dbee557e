"""Published and plain ways to choose tokens, in the `Selector` protocol: what SHIRG is compared with.

Every entry builds a frozen selector: `BASELINES["divprune"](768)`. The names in `FIXED_COUNT` decide by themselves how
many tokens they keep and take no budget: `BASELINES["pooling"]()`. Selectors say the same by `exact_k`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import get_args

from shirg_core.baselines.deduplication import Deduplication, Metric
from shirg_core.baselines.dpp import ConditionalDPP
from shirg_core.baselines.farthest import FarthestPoint
from shirg_core.baselines.pooling import Pooling
from shirg_core.baselines.random import RandomTokens
from shirg_core.baselines.saint import SimilarityGraph
from shirg_core.baselines.saint_vote import BipartiteVote
from shirg_core.baselines.scissor import ConnectedComponents
from shirg_core.baselines.tome import TokenMerging
from shirg_core.baselines.top_score import Score, TopScore
from shirg_core.baselines.uniform import UniformGrid
from shirg_core.selection import Selector

BASELINES: dict[str, Callable[..., Selector]] = {
    "uniform": UniformGrid,
    "random": RandomTokens,
    "pooling": Pooling,
    **{f"top-{score}": partial(TopScore, score=score) for score in get_args(Score)},
    "divprune": FarthestPoint,
    "tome": TokenMerging,
    "saint": SimilarityGraph,
    "saint-vote": BipartiteVote,
    "scissor": ConnectedComponents,
    "cdpruner": ConditionalDPP,
    **{f"dedup-{metric}": partial(Deduplication, metric=metric) for metric in get_args(Metric)},
}

FIXED_COUNT = frozenset({"pooling", "scissor"})
ON_PIXELS = frozenset({"dedup-max", "dedup-mean"})
"""Methods that compare the pixels of patches, before any tower: what calls a method by name passes it those."""

__all__ = [
    "BASELINES",
    "FIXED_COUNT",
    "ON_PIXELS",
    "BipartiteVote",
    "ConditionalDPP",
    "ConnectedComponents",
    "Deduplication",
    "FarthestPoint",
    "Pooling",
    "RandomTokens",
    "SimilarityGraph",
    "TokenMerging",
    "TopScore",
    "UniformGrid",
]
