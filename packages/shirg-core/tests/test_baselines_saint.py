import pytest
import torch

from shirg_core import View, ViewLayout
from shirg_core.baselines import SimilarityGraph
from shirg_core.baselines.saint import similarity_weights, survival

NONE = torch.empty(0, dtype=torch.int64)


def star(*edges, n):
    weights = torch.zeros(n, n, dtype=torch.int32)
    for a, b in edges:
        weights[a, b] = weights[b, a] = 1
    return weights


def test_the_hub_goes_first_and_ties_lose_their_highest_index():
    hub = star((2, 0), (2, 1), (2, 3), n=4)
    assert survival(hub, 3, 1, NONE).tolist() == [1, 1, 0, 1]
    # With the hub gone nobody has an edge.
    assert survival(hub, 2, 2, NONE).tolist() == [1, 1, 0, 0.5]


def test_degrees_are_taken_among_those_still_there():
    # A triangle of copies and a pair: in one round the triangle vanishes, in three it keeps a member.
    graph = star((0, 1), (0, 2), (1, 2), (3, 4), n=5)
    assert survival(graph, 2, 1, NONE).tolist() == [0, 0, 0, 1, 1]
    # Rounds drop 2, then 4 of the pair, then 1.
    assert survival(graph, 2, 3, NONE).tolist() == pytest.approx([1, 2 / 3, 0, 1, 1 / 3])


def test_edges_need_more_than_the_threshold():
    tokens = torch.tensor([[1.0, 0.0], [0.6, 0.8], [-1.0, 0.0]])
    half = round(0.6 * 2**16)
    assert similarity_weights(tokens, 0.0).tolist() == [[0, half, 0], [half, 0, 0], [0, 0, 0]]
    assert similarity_weights(tokens, 0.7).count_nonzero() == 0


def test_redundant_tokens_are_dropped():
    features = torch.cat([torch.tensor([[1.0, 0.0, 0.0]]).repeat(4, 1), torch.eye(3)[1:]])[None]
    assert SimilarityGraph(3)(features, ViewLayout.single(2, 3)).indices.tolist() == [[0, 4, 5]]


def test_pinned_tokens_count_as_neighbours_and_stay():
    layout = ViewLayout(views=[View(1, 1), View(1, 1, pinned=True), View(1, 1)])
    features = torch.tensor([[[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]])
    assert SimilarityGraph(2)(features, layout).indices.tolist() == [[1, 2]]


def test_incremental_degrees_match_fresh_ones():
    tokens = torch.randn(40, 4, generator=torch.Generator().manual_seed(2))
    weights = similarity_weights(tokens, 0.2)
    alive, rounds = list(range(40)), 5
    for t in range(rounds):
        count = (40 - 13) * (t + 1) // rounds - (40 - 13) * t // rounds
        degree = {i: sum(int(weights[i, j]) for j in alive) for i in alive}
        for i in sorted(alive, key=lambda i: (-degree[i], -i))[:count]:
            alive.remove(i)
    assert (survival(weights, 13, rounds, NONE) == 1).nonzero().flatten().tolist() == alive


@pytest.mark.parametrize("bad", [{"threshold": 1.5}, {"rounds": 0}])
def test_bad_settings(bad):
    with pytest.raises(ValueError, match=f"{next(iter(bad))} must be"):
        SimilarityGraph(2, **bad)


def test_a_few_rounds_are_the_default():
    assert SimilarityGraph(2).rounds == 4
