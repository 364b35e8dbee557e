from itertools import combinations

import pytest
import torch

from shirg_core.layout import ViewLayout
from shirg_core.view import View
from shirg_lavida.vision.reading_order import NO_LINE, in_reading_order, reading_order
from shirg_lavida.vision.views import ViewPlan

# A 1 × 1 base view, then two crops of 2 × 2 beside each other. Mosaic, token numbers:  1 2 | 5 6
#                                                                                        3 4 | 7 8
PLAN = ViewPlan(px=1, canvas=(2, 1), layout=ViewLayout(views=(View(1, 1), View(2, 2), View(2, 2))))
NL, SUM = -1.0, -2.0


def read(plan, newline, indices, summary=False):
    """The prefix of one image whose token i is the number i, newlines −1, the summary −2."""
    index = torch.tensor([indices])
    kept = index[..., None].float()
    extra = torch.tensor([[[SUM]]]) if summary else None
    (sequence,) = in_reading_order(plan, newline, kept, index, torch.tensor([NL]), extra)
    return sequence.embeddings.flatten().tolist(), sequence.places.tolist(), sequence.span


def test_row_reads_across_crops_as_released():
    tokens, places, span = read(PLAN, "row", list(range(9)))
    assert tokens == [0, 1, 2, 5, 6, NL, 3, 4, 7, 8, NL]
    assert places == list(range(11))
    assert span == 11


def test_row_closes_only_rows_that_kept_something():
    tokens, places, _ = read(PLAN, "row", [0, 4, 7])
    assert tokens == [0, 4, 7, NL]
    assert places == [0, 7, 8, 10]
    assert read(PLAN, "row", [0])[0] == [0]


def test_view_and_none_keep_views_together():
    assert read(PLAN, "view", [0, 2, 3, 5])[:2] == ([0, NL, 2, 3, NL, 5, NL], [0, 1, 3, 4, 6, 7, 11])
    assert read(PLAN, "none", [0, 2, 3, 5])[:2] == ([0, 2, 3, 5], [0, 2, 3, 5])


def test_summary_comes_last_and_takes_a_place():
    tokens, places, span = read(PLAN, "row", [0, 5], summary=True)
    assert (tokens, places, span) == ([0, 5, NL, SUM], [0, 3, 5, 11], 12)


def test_single_view_is_its_own_mosaic():
    plan = ViewPlan(px=1, canvas=None, layout=ViewLayout.single(2, 2))
    assert read(plan, "row", [0, 1, 2, 3])[0] == [0, 1, NL, 2, 3, NL]
    assert read(plan, "row", [3])[:2] == ([3, NL], [4, 5])


def test_padding_takes_no_place():
    left = View(2, 2, valid=[[False, True], [False, True]])
    plan = ViewPlan(px=1, canvas=(1, 1), layout=ViewLayout(views=(View(1, 1), left)))
    assert read(plan, "row", [0, 2, 4]) == ([0, 2, NL, 4, NL], [0, 1, 2, 3, 4], 5)


def test_bare_rows_keep_their_newlines_as_released():
    gone = View(2, 2, valid=[[False, False], [False, False]])
    plan = ViewPlan(px=1, canvas=(1, 1), layout=ViewLayout(views=(View(1, 1), gone)), bare_rows=2)
    assert read(plan, "row", [0]) == ([0, NL, NL], [0, 1, 2], 3)
    assert read(plan, "none", [0]) == ([0], [0], 1)


def test_batch_rows_have_their_own_newlines():
    kept = torch.tensor([[[1.0], [2.0]], [[2.0], [3.0]]])
    first, second = in_reading_order(PLAN, "row", kept, kept[..., 0].long(), torch.tensor([NL]), None)
    assert first.embeddings.flatten().tolist() == [1, 2, NL]
    assert second.embeddings.flatten().tolist() == [2, NL, 3, NL]


@pytest.mark.parametrize("newline", ["row", "view", "none"])
@pytest.mark.parametrize("kept", range(1, 10))
def test_fewest_and_most_entries_are_those_of_all_choices(newline, kept):
    lengths = [len(read(PLAN, newline, list(chosen))[0]) for chosen in combinations(range(9), kept)]
    assert reading_order(PLAN, newline).entries(kept) == (min(lengths), max(lengths))


def test_bounds_hold_with_padding_and_bare_rows():
    left = View(2, 2, valid=[[False, True], [False, True]])
    padded = ViewPlan(px=1, canvas=(1, 1), layout=ViewLayout(views=(View(1, 1), left)))
    for kept in (1, 2, 3):
        lengths = [len(read(padded, "row", list(chosen))[0]) for chosen in combinations((0, 2, 4), kept)]
        fewest, most = reading_order(padded, "row").entries(kept)
        assert fewest <= min(lengths) <= max(lengths) <= most
    gone = View(2, 2, valid=[[False, False], [False, False]])
    bare = ViewPlan(px=1, canvas=(1, 1), layout=ViewLayout(views=(View(1, 1), gone)), bare_rows=2)
    assert len(read(bare, "row", [0])[0]) == 3
    assert reading_order(bare, "row").entries(1) == (3, 3)


def test_lines_are_numbered_without_gaps():
    order = reading_order(PLAN, "row")
    assert order.line.tolist() == [NO_LINE, 0, 0, 1, 1, 0, 0, 1, 1]
    assert order.newline_place.tolist() == [5, 10]


def test_gradient_reaches_tokens_newline_and_summary():
    kept, newline = torch.ones(1, 2, 3, requires_grad=True), torch.ones(3, requires_grad=True)
    summary = torch.ones(1, 1, 3, requires_grad=True)
    (sequence,) = in_reading_order(PLAN, "row", kept, torch.tensor([[1, 3]]), newline, summary)
    sequence.embeddings.sum().backward()
    assert torch.equal(kept.grad, torch.ones(1, 2, 3))
    assert torch.equal(newline.grad, torch.full((3,), 2.0))
    assert torch.equal(summary.grad, torch.ones(1, 1, 3))


def test_unknown_policy():
    with pytest.raises(ValueError, match="row, none, view"):
        reading_order(PLAN, "column")
