import math

import pytest
import torch

from shirg_core import View, ViewLayout
from shirg_core.baselines import ConnectedComponents
from shirg_core.baselines.scissor import components


def at_angles(*degrees):
    angle = torch.tensor(degrees, dtype=torch.float32) * math.pi / 180
    return torch.stack([angle.cos(), angle.sin()], dim=1)


def test_a_chain_connects_its_ends():
    # Neighbours 20° apart are joined at τ = 0.9 (25.8°); the ends of the chain, 60° apart, only through the others.
    tokens = at_angles(60, 180, 0, 40, 20)
    assert components(tokens, 0.9).tolist() == [0, 1, 0, 0, 0]
    selection = ConnectedComponents(threshold=0.9)(tokens[None], ViewLayout.single(1, 5))
    assert selection.indices.tolist() == [[0, 1]]
    assert selection.regions.tolist() == [[0, 1, 0, 0, 0]]
    torch.testing.assert_close(selection.tokens[0, 0], tokens[[0, 2, 3, 4]].mean(0))


def test_threshold_decides_the_count():
    layout, tokens = ViewLayout.single(1, 5), at_angles(60, 180, 0, 40, 20)[None]
    counts = [ConnectedComponents(threshold=t)(tokens, layout).indices.shape[1] for t in (-1.0, 0.9, 0.99, 1.0)]
    assert counts == [1, 2, 5, 5]


@pytest.mark.parametrize("seed", range(4))
def test_against_a_graph_walk(seed):
    generator = torch.Generator().manual_seed(seed)
    # A long chain in random order, so that labels have far to go.
    order = torch.randperm(40, generator=generator)
    tokens = at_angles(*(order * 4 + 30 * (order > 25)).tolist())
    unit = tokens / tokens.norm(dim=1, keepdim=True)
    joined = unit @ unit.T > 0.99
    first = [-1] * 40
    for start in range(40):
        stack = [start] if first[start] < 0 else []
        while stack:
            i = stack.pop()
            if first[i] < 0:
                first[i] = start
                stack += joined[i].nonzero().flatten().tolist()
    assert len(set(first)) == 2
    assert components(tokens, 0.99).tolist() == first


def test_images_that_disagree_are_refused():
    features = torch.stack([at_angles(0, 1, 90, 91), at_angles(0, 50, 100, 150)])
    with pytest.raises(ValueError, match=r"\[2, 4\] components"):
        ConnectedComponents()(features, ViewLayout.single(2, 2))
    assert ConnectedComponents()(features[:1].repeat(3, 1, 1), ViewLayout.single(2, 2)).indices.tolist() == [[0, 2]] * 3


def test_pinned_tokens_are_no_nodes():
    layout = ViewLayout(views=[View(1, 2, pinned=True), View(1, 2)])
    assert ConnectedComponents()(torch.ones(1, 4, 2), layout).indices.tolist() == [[0, 1, 2]]


def test_bad_threshold():
    with pytest.raises(ValueError, match=r"threshold must be a number in \[-1, 1\], got 2.0"):
        ConnectedComponents(threshold=2.0)
