"""LLaVA-Scissor (arXiv 2506.21862): semantic connected components, each merged into its mean.

    i ~ j  where cos(v_i, v_j) > τ;   groups = connected components of the graph;   z_g = 1/|g| · Σ_{i ∈ g} v_i

The paper approximates the components from a random sample of tokens, within and then across video frames; here they are
exact, over all tokens of the image. Tokens of pinned views are kept as they are and are no nodes.

Exact K: no. τ decides how many components there are, image by image, and a `Selection` holds one count per batch:
images that disagree are a `ValueError`, so call with one image at a time. Takes no budget. Needs: features only. Waits
for the device. Cost: O(N²·D) once and O(N²) per round of label spreading, seldom more than a few; N×N several times in
memory, one image at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Unpack

import torch
from torch import Tensor

from shirg_core.baselines.merging import merge_groups, own_groups, unassigned_index
from shirg_core.baselines.similarity import cosine_matrix
from shirg_core.checks import keep, real
from shirg_core.layout import ViewLayout
from shirg_core.selection import Selection
from shirg_core.selection.assemble import without_padding
from shirg_core.selection.inputs import Inputs, check_inputs


@dataclass(frozen=True)
class ConnectedComponents:
    """Merge tokens that a chain of similar tokens connects.

    Args:
        threshold: τ in [−1, 1]; the higher, the more tokens are kept.
    """

    threshold: float = 0.9

    def __post_init__(self) -> None:
        keep(self, real, "threshold", low=-1, high=1)

    def __call__(self, features: Tensor, layout: ViewLayout, **inputs: Unpack[Inputs]) -> Selection:
        """Merge tokens; shapes and errors as in `Selector`, regions are the components.

        Raises:
            ValueError: also when the images of the batch have different numbers of components.
        """
        check_inputs(features, layout, **inputs)
        features = without_padding(features, layout)
        unassigned = unassigned_index(layout, features.device)
        group = own_groups(layout, features.device)
        with torch.no_grad():
            first = torch.stack(
                [group.scatter(0, unassigned, unassigned[components(x[unassigned], self.threshold)]) for x in features]
            )
        here = torch.arange(layout.n_tokens, device=features.device)
        counts = (first == here).sum(1).tolist()
        if len(set(counts)) > 1:
            raise ValueError(f"the images have {counts} components, one Selection holds one count: pass one at a time")
        return merge_groups(features, first, layout, counts[0], "scissor")


def components(tokens: Tensor, threshold: float) -> Tensor:
    """`tokens [n, D]` of one image → `[n]` int64, the first token of each token's component.

    Every round, each token takes the smallest label among its neighbours, hands it to the token whose label it had, and
    labels are followed to their own labels; nothing changes once every component carries its first token.
    """
    n = tokens.shape[0]
    label = torch.arange(n, device=tokens.device)
    if n == 0:
        return label
    joined = (cosine_matrix(tokens) > threshold).fill_diagonal_(True)
    # A product with its own transpose need not come out exactly symmetric.
    joined = joined | joined.T
    while True:
        smallest = torch.where(joined, label.to(torch.int32), n).amin(1).long()
        after = label.scatter_reduce(0, label, smallest, "amin")
        after = torch.minimum(after, smallest)
        after = after[after]
        if torch.equal(after, label):
            return label
        label = after
