"""Score components: plain functions that return a raw `[B, N]` float32 tensor, higher = keep."""

from shirg_core.scores.attention import attention_deviation, attention_received, received_from_deviation
from shirg_core.scores.combine import combine, snap
from shirg_core.scores.distinctness import distinctness
from shirg_core.scores.edges import edge_density, layout_edges, patch_pixels
from shirg_core.scores.evidence import text_evidence
from shirg_core.scores.normalize import minmax, saturate
from shirg_core.scores.relevance import text_relevance
from shirg_core.scores.statistics import channel_variance, feature_magnitude, spatial_gradient

__all__ = [
    "attention_deviation",
    "attention_received",
    "channel_variance",
    "combine",
    "distinctness",
    "edge_density",
    "feature_magnitude",
    "layout_edges",
    "minmax",
    "patch_pixels",
    "received_from_deviation",
    "saturate",
    "snap",
    "spatial_gradient",
    "text_evidence",
    "text_relevance",
]
