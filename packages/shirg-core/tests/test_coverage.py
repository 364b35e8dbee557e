"""Regions: cells by their formula, clusters by loops over edges, and what happens when K is too small."""

from collections import deque
from math import ceil, floor

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from shirg_core import View, ViewLayout, shirg_v2, shirg_v3
from shirg_core.coverage import cell_regions, cluster_regions
from shirg_core.coverage.clusters import regions_from_similarity
from shirg_core.coverage.grid_graph import grid_graph, neighbour_cosine
from shirg_core.selection.assemble import find_regions

from . import oracle
from .strategies import images, layouts, make_features

CPU = torch.device("cpu")
SHARES = st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.77, 1.0])


def zeroed(features, layout):
    return features.masked_fill(~torch.tensor(oracle.valid_tokens(layout))[:, None], 0)


# --- cells ---------------------------------------------------------------------------------------------------------


def test_cells_by_hand():
    """4 × 5 with at most ⌊0.5 · 9⌋ = 4 cells: s = 3 gives 2 × 2, anchored at the top left."""
    regions = cell_regions(ViewLayout.single(4, 5), 9, 0.5, CPU)
    assert regions.view(4, 5).tolist() == [[0, 0, 0, 1, 1]] * 3 + [[2, 2, 2, 3, 3]]


def test_one_cell_side_for_all_views():
    """K = 20 allows ten cells. s = 1: 16 + 4 + 9; s = 2: 4 + 1 + 4 fit."""
    regions = cell_regions(ViewLayout(views=(View(4, 4), View(2, 2), View(3, 3))), 20, 0.5, CPU)
    assert regions.tolist() == [0, 0, 1, 1] * 2 + [2, 2, 3, 3] * 2 + [4] * 4 + [5, 5, 6, 5, 5, 6, 7, 7, 8]


def test_lavida_and_v3_shapes():
    assert cell_regions(ViewLayout.single(48, 48), 768, 0.5, CPU).max() + 1 == 16**2
    # 5 · ⌈27/s⌉² ≤ 512 holds first for s = 3, 405 cells.
    assert cell_regions(ViewLayout.anyres(2, 2, 27), 1024, 0.5, CPU).max() + 1 == 405


def test_a_cell_of_padding_is_no_region():
    valid = [[True, True, False, False]] * 2
    regions = cell_regions(ViewLayout(views=(View(2, 4, valid=valid), View(2, 2))), 6, 0.5, CPU)
    assert regions.tolist() == [0, 0, -1, -1, 0, 0, -1, -1, 1, 1, 1, 1]


@given(layout=layouts(pinned=False), share=SHARES, data=st.data())
def test_cells_are_the_smallest_that_fit_the_formula(layout, share, data):
    k = data.draw(st.integers(len(layout.views), max(len(layout.views), layout.n_selectable)))
    limit = max(len(layout.views), floor(share * k))
    regions = cell_regions(layout, k, share, CPU)
    side = next(s for s in range(1, 100) if sum(ceil(v.h / s) * ceil(v.w / s) for v in layout.views) <= limit)
    cells = [(v, r // side, c // side) for v, at in enumerate(layout.views) for r in range(at.h) for c in range(at.w)]
    shown = [cell if ok else None for cell, ok in zip(cells, oracle.valid_tokens(layout), strict=True)]
    number = {cell: i for i, cell in enumerate(dict.fromkeys(cell for cell in cells if cell in set(shown)))}
    assert oracle.renumbered(regions) == oracle.renumbered([-1 if cell is None else number[cell] for cell in shown])
    assert regions.max() < limit
    assert oracle.renumbered(regions) == oracle.renumbered(oracle.cell_regions(layout, k, share))


# --- clusters ------------------------------------------------------------------------------------------------------


def regions_from(similarity, layout, budget, share):
    """Clusters of a layout whose edge similarities are given, one per `oracle.neighbours(layout)`."""
    graph = grid_graph(layout, CPU)
    value = dict(zip(oracle.neighbours(layout), similarity, strict=True))
    edges = zip(graph.lower.tolist(), graph.upper.tolist(), strict=True)
    return regions_from_similarity(torch.tensor([[value[e] for e in edges]]), graph, layout, budget, share)[0].tolist()


def test_clusters_by_hand():
    """Six in a row. Round 1: 0–1, 2–1, 3–4, 4–3, 5–4, so {0 1 2} and {3 4 5}; round 2 joins all."""
    layout, similarity = ViewLayout.single(1, 6), [0.9, 0.8, 0.1, 0.7, 0.6]
    assert regions_from(similarity, layout, 6, 1.0) == [0, 1, 2, 3, 4, 5]
    assert regions_from(similarity, layout, 4, 0.5) == [0, 0, 0, 1, 1, 1]
    assert regions_from(similarity, layout, 2, 0.5) == [0] * 6


def test_ties_go_to_the_smaller_endpoints():
    """All equal on a row: every token prefers the edge with the smaller lower endpoint: 0–1, 1–0, 2–1, 3–2, … chain."""
    assert regions_from([0.5] * 5, ViewLayout.single(1, 6), 4, 0.5) == [0] * 6
    # 2 × 3, equal edges but for 0–1 and 3–4, which are worse. 0: 0–3, 1: 1–2 before 1–4, 2: 1–2 before 2–5,
    # 3: 0–3, 4: 1–4, 5: 2–5. So {0 3} and {1 2 4 5}.
    layout = ViewLayout.single(2, 3)
    value = {(0, 1): 0.1, (3, 4): 0.1}
    similarity = [value.get(e, 0.5) for e in oracle.neighbours(layout)]
    assert regions_from(similarity, layout, 4, 0.5) == [0, 1, 1, 0, 1, 1]
    # On 2 × 2 with 0–1 worse: 0 takes 0–2, 1 takes 1–3, 2 prefers 0–2 to 2–3, 3 prefers 1–3 to 2–3.
    layout = ViewLayout.single(2, 2)
    similarity = [0.1 if e == (0, 1) else 0.5 for e in oracle.neighbours(layout)]
    assert regions_from(similarity, layout, 4, 0.5) == [0, 1, 0, 1]


def test_each_image_stops_at_its_own_level():
    layout = ViewLayout.single(1, 8)
    pairs = torch.eye(4)[torch.tensor([0, 0, 1, 1, 2, 2, 3, 3])]
    slope = torch.stack([torch.cos(torch.arange(8.0) ** 2 / 40), torch.sin(torch.arange(8.0) ** 2 / 40)], 1)
    x = torch.stack([pairs, torch.nn.functional.pad(slope, (0, 2))])
    regions = cluster_regions(x, layout, 8, 0.5)
    for b in range(2):
        similarity = [
            oracle.cosine(x[b, i].double().numpy(), x[b, j].double().numpy()) for i, j in oracle.neighbours(layout)
        ]
        assert regions[b].tolist() == oracle.renumbered(oracle.cluster_regions(layout, 8, 0.5, similarity))
    assert len(set(regions[0].tolist())) != len(set(regions[1].tolist()))


@given(layout=layouts(), share=SHARES, data=st.data(), levels=st.integers(1, 6))
def test_clusters_from_any_similarities_match_the_loops(layout, share, data, levels):
    """Few different values, so that ties are everywhere."""
    edges = oracle.neighbours(layout)
    similarity = data.draw(st.lists(st.integers(0, levels), min_size=len(edges), max_size=len(edges)))
    k = data.draw(st.integers(oracle.least_budget(layout), layout.n_selectable))
    expected = oracle.cluster_regions(layout, k, share, [float(s) for s in similarity])
    assert regions_from([float(s) for s in similarity], layout, k, share) == oracle.renumbered(expected)


@given(case=images(), share=SHARES)
def test_every_cluster_is_connected_and_inside_one_view(case, share):
    layout = case.layout
    regions = cluster_regions(zeroed(case.features, layout), layout, case.budget, share)
    adjacent = {i: set() for i in range(layout.n_tokens)}
    for a, b in oracle.neighbours(layout):
        adjacent[a].add(b)
        adjacent[b].add(a)
    view = oracle.token_views(layout)
    for row in regions.tolist():
        for region in set(row) - {-1}:
            members = {i for i, r in enumerate(row) if r == region}
            reached, queue = set(), deque([min(members)])
            while queue:
                token = queue.popleft()
                reached.add(token)
                queue.extend((adjacent[token] & members) - reached - set(queue))
            assert reached == members
            assert len({view[i] for i in members}) == 1


@given(case=images())
def test_neighbour_cosine_matches_float64(case):
    x, layout = zeroed(case.features, case.layout), case.layout
    graph = grid_graph(layout, CPU)
    cosine = neighbour_cosine(x, layout)
    assert cosine.dtype == torch.float32
    for b in range(len(x)):
        tokens = x[b].double().numpy()
        for i, j, value in zip(graph.lower.tolist(), graph.upper.tolist(), cosine[b].tolist(), strict=True):
            assert value == pytest.approx(oracle.cosine(tokens[i], tokens[j]), abs=2e-6)


def test_zero_tokens_have_cosine_zero_with_everything_each_other_included():
    layout = ViewLayout.single(1, 4)
    x = torch.tensor([[[0.0, 0.0], [0.0, 0.0], [1e-30, 0.0], [1.0, 0.0]]])
    assert neighbour_cosine(x, layout)[0, :2].tolist() == [0.0, 0.0]
    # Two zero tokens are not similar: each end joins its similar neighbour first.
    x = torch.tensor([[[1.0, 0.1], [1.0, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, 1.0], [0.1, 1.0]]])
    assert cluster_regions(x, ViewLayout.single(1, 6), 6, 0.67)[0].tolist() == [0, 0, 0, 0, 1, 1]


def test_disconnected_areas_stay_apart_even_above_the_share():
    valid = [[True, False, True, False, True]]
    layout = ViewLayout(views=(View(1, 5, valid=valid),))
    x = make_features("constant", 1, 5, 3, 1)
    assert cluster_regions(zeroed(x, layout), layout, 3, 0.1)[0].tolist() == [0, -1, 1, -1, 2]


# --- K and regions -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("coverage", ["cells", "clusters", "quadtree"])
def test_fewer_tokens_than_views_names_both_numbers(coverage):
    layout = ViewLayout.anyres(2, 2, 3)
    x = make_features("normal", 1, 45, 4, 1)
    with pytest.raises(ValueError, match=r"K=4 .*\b5\b"):
        shirg_v3(4, coverage=coverage)(x, layout)
    assert shirg_v3(5, coverage=coverage)(x, layout).indices.shape == (1, 5)


def test_fewer_tokens_than_connected_areas_names_both_numbers():
    checkers = torch.arange(9).reshape(3, 3) % 2 == 0
    layout = ViewLayout(views=(View(3, 3, valid=checkers),))
    x = make_features("normal", 1, 9, 4, 1)
    with pytest.raises(ValueError, match=r"K=4 .*\b5\b"):
        shirg_v2(4, text_weight=0, beta=0)(x, layout)
    assert shirg_v2(5, text_weight=0, beta=0)(x, layout).indices.tolist() == [[0, 2, 4, 6, 8]]
    assert shirg_v2(4, text_weight=0, beta=0, coverage="cells")(x, layout).indices.shape == (1, 4)


@pytest.mark.parametrize("coverage", ["cells", "clusters", "quadtree"])
def test_pinned_tokens_leave_room_for_the_other_regions(coverage):
    layout = ViewLayout(views=(View(3, 3, pinned=True), View(4, 4), View(2, 2)))
    x = make_features("normal", 1, 29, 4, 1)
    with pytest.raises(ValueError, match=r"K=10 .*\b11\b"):
        shirg_v3(10, coverage=coverage)(x, layout)
    selection = shirg_v3(11, coverage=coverage)(x, layout)
    assert selection.mask[0, :9].all()
    assert selection.mask[0, 9:25].sum() == selection.mask[0, 25:].sum() == 1


@given(case=images(), share=SHARES, coverage=st.sampled_from(["cells", "clusters"]), data=st.data())
def test_too_small_a_budget_raises_and_names_it(case, share, coverage, data):
    least = oracle.least_budget(case.layout)
    k = data.draw(st.integers(1, least))
    slow = oracle.shirg_v3
    config = shirg_v3(k, attention_weight=0, coverage=coverage, coverage_share=share)
    try:
        slow(
            case.features[0].double().numpy(),
            case.layout,
            k,
            coverage=coverage,
            share=share,
            attention=case.edges[0].double().numpy(),
        )
    except ValueError:
        with pytest.raises(ValueError, match=f"K={k} "):
            config(case.features[:1], case.layout)
    else:
        assert config(case.features[:1], case.layout).indices.shape == (1, k)


def test_an_unknown_coverage_is_an_error():
    layout = ViewLayout.single(2, 2)
    with pytest.raises(ValueError, match="coverage must be clusters, cells, quadtree or none, got 'blobs'"):
        find_regions("blobs", torch.zeros(1, 4, 2), layout, 2, 0.5)
