"""The quadtree against a loop that splits one block at a time, in plain Python; K, centres and coverage."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from shirg_core import View, ViewLayout, shirg_v3, shirg_v4
from shirg_core.baselines import Quadtree
from shirg_core.budget import BudgetError
from shirg_core.coverage import quadtree_regions

from .test_baselines_protocol import cases, inputs_for, room


def halves(block, box):
    """Both non-empty halves of a block `{(row, col): token}` in a box (top, left, h, w), with their boxes."""
    top, left, h, w = box
    if h >= w:
        boxes = [(top, left, h // 2, w), (top + h // 2, left, h // 2, w)]
    else:
        boxes = [(top, left, h, w // 2), (top, left + w // 2, h, w // 2)]
    parts = [
        {at: t for at, t in block.items() if y <= at[0] < y + hh and x <= at[1] < x + ww} for y, x, hh, ww in boxes
    ]
    found = [(part, of) for part, of in zip(parts, boxes, strict=True) if part]
    return found if len(found) == 2 else halves(*found[0])


def busy(x, block, box):
    if len(block) == 1:
        return 0.0
    rows = [x[t] for t in block.values()]
    mean = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
    own = sum((v - m) ** 2 for row in rows for v, m in zip(row, mean, strict=True)) / len(rows)
    return max(own, *(busy(x, *half) for half in halves(block, box)))


def blocks_one_by_one(x, layout, k):
    """Sets of tokens: the busiest block is split until there are K, pinned tokens among them."""
    done, start, n_pinned = [], 0, 0
    valid = layout.valid_mask().tolist()
    for view in layout.views:
        cells = {divmod(i, view.w): start + i for i in range(view.h * view.w) if valid[start + i]}
        box = (0, 0, 1 << (view.h - 1).bit_length(), 1 << (view.w - 1).bit_length())
        n_pinned += len(cells) * view.pinned
        if cells and not view.pinned:
            done.append((cells, box))
        start += view.h * view.w
    while len(done) + n_pinned < k:
        busiest = max(done, key=lambda item: (busy(x, *item), len(item[0]) > 1))
        done.remove(busiest)
        done += halves(*busiest)
    return {frozenset(block.values()) for block, _ in done}


def blocks_of(selection, layout, b=0):
    return {
        frozenset((selection.regions[b] == g).nonzero().flatten().tolist())
        for g in range(selection.indices.shape[1])
        if not layout.pinned_mask()[selection.indices[b, g]]
    }


@given(cases())
@settings(max_examples=40, deadline=None)
def test_the_same_blocks_as_splitting_one_by_one(case):
    layout, k, seed = case
    features, _ = inputs_for(layout, seed)
    k = room("quadtree", layout, k)
    selection = Quadtree(k)(features, layout)
    for b, x in enumerate(features.double().tolist()):
        assert blocks_of(selection, layout, b) == blocks_one_by_one(x, layout, k)


def test_blank_paper_is_a_few_means_and_print_is_kept_patch_by_patch():
    """4 × 4 with print at the left of the third row: both patches of it, and three blocks of paper."""
    x = torch.full((1, 16, 2), 0.3)
    x[0, 8], x[0, 9] = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    selection = Quadtree(5)(x, ViewLayout.single(4, 4))
    assert selection.regions.view(4, 4).tolist() == [[0, 0, 0, 0], [0, 0, 0, 0], [1, 2, 3, 3], [4, 4, 3, 3]]
    # Between the four tokens in the middle of the upper half the first stands for it.
    assert selection.indices.tolist() == [[1, 8, 9, 10, 12]]
    torch.testing.assert_close(selection.kept, selection.gather(x))


@pytest.mark.parametrize("layout", [ViewLayout.single(5, 3), ViewLayout.anyres(1, 2, 3)], ids=["5x3", "anyres"])
def test_every_count_down_to_one_a_view_and_each_refines_the_last(layout):
    x, fewest = torch.randn(2, layout.n_tokens, 4), len(layout.views)
    before = None
    for k in range(fewest, layout.n_tokens + 1):
        selection = Quadtree(k)(x, layout)
        assert selection.indices.shape == (2, k)
        assert set(selection.regions.flatten().tolist()) == set(range(k))
        if before is not None:
            assert sum(a not in blocks_of(before, layout) for a in blocks_of(selection, layout)) == 2
        before = selection
    assert torch.equal(selection.kept, x)
    for k in range(1, fewest):
        with pytest.raises(BudgetError, match=rf"K={k} is smaller than the {fewest} tokens that a quadtree needs"):
            Quadtree(k)(x, layout)


def test_a_block_stands_at_its_centre():
    """Of a 3 × 5 view the middle token; of what padding leaves of it, the nearest one that is there."""
    view = View(3, 5)
    assert Quadtree(1)(torch.zeros(1, 15, 2), ViewLayout(views=(view,))).indices.tolist() == [[7]]
    holed = View(3, 5, valid=[[True] * 5, [True, True, False, True, True], [True] * 5])
    selection = Quadtree(1)(torch.ones(1, 15, 2), ViewLayout(views=(holed,)))
    assert selection.indices.tolist() == [[2]]
    assert selection.kept.tolist() == [[[1.0, 1.0]]]


def test_equal_tokens_split_from_the_largest_block_on_in_reading_order():
    x = torch.randn(1, 1, 8).expand(1, 16, 8)
    assert Quadtree(3)(x, ViewLayout.single(4, 4)).regions.view(4, 4).tolist() == [[0, 0, 1, 1]] * 2 + [[2] * 4] * 2


@given(cases(), st.sampled_from([0.0, 0.3, 1.0]))
@settings(max_examples=25, deadline=None)
def test_as_coverage_every_block_keeps_a_token_and_no_more_blocks_than_the_share(case, share):
    layout, k, seed = case
    features, inputs = inputs_for(layout, seed)
    k = room("quadtree", layout, k)
    selection = shirg_v4(k, coverage="quadtree", coverage_share=share)(features, layout, edges=inputs["edges"])
    assert selection.indices.shape == (2, k)
    for b in range(2):
        regions = set(selection.regions[b].tolist()) - {-1}
        assert regions == set(range(len(regions)))
        assert regions == set(selection.regions[b, selection.indices[b]].tolist())
        assert len(regions) <= max(len(layout.views), int(share * k))


def test_coverage_spends_less_on_blank_paper_than_cells():
    """8 × 8, print in one quarter, 16 regions: cells give the blank three quarters 12 of them, the tree at most 4."""
    x = torch.zeros(1, 8, 8, 4)
    x[:, :4, :4] = torch.randn(1, 4, 4, 4)
    layout, x = ViewLayout.single(8, 8), x.flatten(1, 2)
    blank = torch.ones(8, 8, dtype=torch.bool)
    blank[:4, :4] = False
    tree = quadtree_regions(x, layout, 32, 0.5)[0, blank.flatten()].unique()
    cells = shirg_v3(32, coverage="cells", coverage_share=0.5)(x, layout).regions[0, blank.flatten()].unique()
    assert (len(cells), len(tree)) == (12, 2)
