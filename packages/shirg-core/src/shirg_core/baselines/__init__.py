"""Published and plain ways to choose tokens, in the `Selector` protocol: what SHIRG is compared with.

Their names, and what each needs and keeps, are in `shirg_core.methods`.
"""

from shirg_core.baselines.deduplication import Deduplication
from shirg_core.baselines.dpp import ConditionalDPP
from shirg_core.baselines.farthest import FarthestPoint
from shirg_core.baselines.pooling import Pooling
from shirg_core.baselines.quadtree import Quadtree
from shirg_core.baselines.random import RandomTokens
from shirg_core.baselines.saint import SimilarityGraph
from shirg_core.baselines.saint_vote import BipartiteVote
from shirg_core.baselines.scissor import ConnectedComponents
from shirg_core.baselines.tome import TokenMerging
from shirg_core.baselines.top_score import TopScore
from shirg_core.baselines.uniform import UniformGrid

__all__ = [
    "BipartiteVote",
    "ConditionalDPP",
    "ConnectedComponents",
    "Deduplication",
    "FarthestPoint",
    "Pooling",
    "Quadtree",
    "RandomTokens",
    "SimilarityGraph",
    "TokenMerging",
    "TopScore",
    "UniformGrid",
]
