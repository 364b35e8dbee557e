"""Geometry: token order, masks, boxes, and the map between tokens and image areas."""

import copy
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from torch.testing import assert_close

from shirg_core import View, ViewLayout, shirg_v2, shirg_v3

from . import oracle
from .strategies import layouts


def test_single_is_one_view_over_the_whole_image():
    layout = ViewLayout.single(48, 48)
    assert layout.n_tokens == layout.n_selectable == 2304
    assert [(v.h, v.w, v.box) for v in layout.views] == [(48, 48, (0.0, 0.0, 1.0, 1.0))]
    assert not layout.has_padding
    assert layout.valid_index() is None


def test_anyres_is_a_base_view_then_crops_in_raster_order():
    layout = ViewLayout.anyres(2, 3, 27)
    assert layout.n_tokens == 7 * 729
    thirds = [0.0, 1 / 3, 2 / 3, 1.0]
    crops = [(thirds[c], r / 2, thirds[c + 1], (r + 1) / 2) for r in range(2) for c in range(3)]
    assert [v.box for v in layout.views] == [(0.0, 0.0, 1.0, 1.0), *crops]
    assert layout.starts == tuple(729 * i for i in range(7))
    assert ViewLayout.anyres(rows=2, cols=2, side=27).n_tokens == 3645


def test_token_index_is_view_order_then_raster_order():
    layout = ViewLayout(views=[View(2, 3), View(1, 2)])
    assert layout.view_ids().tolist() == [0, 0, 0, 0, 0, 0, 1, 1]
    assert layout.starts == (0, 6)
    third, half = 1 / 3, 0.5
    expected = [
        (0, 0, third, half),
        (third, 0, 2 * third, half),
        (2 * third, 0, 1, half),
        (0, half, third, 1),
        (third, half, 2 * third, 1),
        (2 * third, half, 1, 1),
        (0, 0, half, 1),
        (half, 0, 1, 1),
    ]
    assert layout.boxes().dtype == torch.float32
    assert_close(layout.boxes(), torch.tensor(expected, dtype=torch.float32))


def test_boxes_of_a_padded_view_reach_outside_the_image():
    view = View(4, 2, box=(0.0, -0.5, 1.0, 1.5), valid=[[False] * 2, [True] * 2, [True] * 2, [False] * 2])
    layout = ViewLayout(views=(view,))
    assert layout.boxes()[:, 1].tolist() == [-0.5, -0.5, 0.0, 0.0, 0.5, 0.5, 1.0, 1.0]
    assert layout.n_selectable == 4
    assert layout.valid_index().tolist() == [2, 3, 4, 5]


@given(layout=layouts())
def test_masks_say_what_the_views_say(layout):
    assert layout.n_tokens == sum(v.h * v.w for v in layout.views)
    assert layout.valid_mask().tolist() == oracle.valid_tokens(layout)
    assert layout.pinned_mask().tolist() == oracle.pinned_tokens(layout)
    assert layout.view_ids().tolist() == oracle.token_views(layout)
    assert layout.n_selectable == sum(oracle.valid_tokens(layout))
    assert layout.n_pinned == sum(oracle.pinned_tokens(layout))
    assert layout.has_padding == (layout.n_selectable < layout.n_tokens)
    if layout.has_padding:
        assert layout.valid_index().tolist() == [i for i, ok in enumerate(oracle.valid_tokens(layout)) if ok]


@given(layout=layouts())
def test_runs_cover_every_token_once_in_order(layout):
    sizes = [(run.h, run.w) for run in layout.runs for _ in range(run.views)]
    assert sizes == [(v.h, v.w) for v in layout.views]
    assert [run.start for run in layout.runs] == [0, *(run.stop for run in layout.runs)][:-1]
    assert layout.runs[-1].stop == layout.n_tokens
    assert all((a.h, a.w) != (b.h, b.w) for a, b in zip(layout.runs, layout.runs[1:], strict=False))


@given(layout=layouts())
def test_layouts_are_values(layout):
    views = tuple(View(v.h, v.w, box=v.box, pinned=v.pinned, valid=v.valid) for v in layout.views)
    again = ViewLayout(views=views)
    assert again == layout
    assert hash(again) == hash(layout)
    assert pickle.loads(pickle.dumps(layout)) is layout
    assert copy.deepcopy(layout) is layout
    assert ViewLayout(views=[*views, View(1, 1)]) != layout


def test_a_layouts_hash_is_not_computed_again_at_every_use(monkeypatch):
    layout = ViewLayout.anyres(2, 2, 3)
    known, of_a_view = hash(layout), View.__hash__
    ours, hashed = set(map(id, layout.views)), []

    def watched(view):
        hashed.append(id(view))
        return of_a_view(view)

    monkeypatch.setattr(View, "__hash__", watched)
    assert hash(layout) == known
    assert {layout: "found"}[layout] == "found"
    assert not ours & set(hashed)


def test_every_spelling_of_valid_is_the_same_view():
    nested = [[True, False], [True, True]]
    spellings = [nested, torch.tensor(nested), [True, False, True, True], torch.tensor(nested).flatten()]
    assert len({View(2, 2, valid=v) for v in spellings}) == 1
    assert View(2, 2, valid=torch.ones(2, 2, dtype=torch.bool)) == View(2, 2)
    assert View(2, 2, valid=nested) != View(2, 2)


def test_constants_land_on_the_device_asked_for():
    layout = ViewLayout.single(2, 2)
    for tensor in (
        layout.valid_mask("meta"),
        layout.boxes("meta"),
        layout.view_ids("meta"),
        layout.pinned_mask("meta"),
    ):
        assert tensor.device.type == "meta"
    assert layout.boxes(torch.device("cpu")).device.type == "cpu"


@pytest.mark.parametrize(("h", "w"), [(0, 3), (3, 0), (-1, 3), (2.0, 3), (None, 3)])
def test_a_view_needs_a_grid(h, w):
    with pytest.raises(ValueError, match=r"^[hw] must be an integer ≥ 1, got"):
        View(h, w)


@pytest.mark.parametrize("box", [(0, 0, 0, 1), (0, 1, 1, 0), (0.5, 0, 0.25, 1), (0, 0, 1), (0, 0, float("nan"), 1)])
def test_a_view_needs_a_box_with_area(box):
    with pytest.raises(ValueError, match="box must be"):
        View(2, 2, box=box)


def test_valid_needs_the_shape_of_the_grid():
    with pytest.raises(ValueError, match=r"\[2, 3\], got 3 rows of \[2\]"):
        View(2, 3, valid=torch.ones(3, 2, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"\[2, 2\], got 4 rows of \[1\]"):
        View(2, 2, valid=torch.ones(4, 1, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"\[2, 2\], got 0 rows"):
        View(2, 2, valid=torch.tensor(True))


def test_pinned_is_a_truth_value_of_any_kind():
    expected = ViewLayout(views=[View(2, 2, pinned=True), View(3, 3)])
    for pinned in (np.bool_(True), 1):
        layout = ViewLayout(views=[View(2, 2, pinned=pinned), View(3, 3)])
        assert layout is expected
        assert shirg_v3(6)(torch.randn(1, 13, 4), layout).indices[0, :4].tolist() == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="pinned must be True or False, got 'no'"):
        View(2, 2, pinned="no")


def test_a_layout_needs_a_view_and_a_valid_token():
    with pytest.raises(ValueError, match="at least one View"):
        ViewLayout(views=())
    with pytest.raises(ValueError, match="at least one View"):
        ViewLayout(views=((2, 3),))
    with pytest.raises(ValueError, match="at least one View"):
        ViewLayout(views=View(2, 2))
    assert ViewLayout(views=(View(1, side) for side in (2, 3))).n_tokens == 5
    with pytest.raises(ValueError, match="padding"):
        ViewLayout(views=(View(1, 2, valid=[[False, False]]),))
    with pytest.raises(ValueError, match="rows=0"):
        ViewLayout.anyres(0, 2, 3)


def test_sizes_may_come_out_of_numpy_and_are_no_booleans():
    view = View(np.int64(2), np.int32(3))
    assert (type(view.h), type(view.w)) == (int, int)
    assert ViewLayout.anyres(np.int64(1), np.int64(2), np.int64(3)) == ViewLayout.anyres(1, 2, 3)
    for sides in ((True, 2), (2.0, 2), (np.float64(2), 2)):
        with pytest.raises(ValueError, match="h must be an integer ≥ 1, got"):
            View(*sides)


def test_valid_takes_any_array():
    mask = np.array([[True, False], [True, True]])
    expected = View(2, 2, valid=[[True, False], [True, True]])
    for valid in (
        mask,
        mask[::-1][::-1],
        list(mask),
        mask.ravel(),
        torch.from_numpy(mask),
        list(torch.from_numpy(mask)),
    ):
        assert View(2, 2, valid=valid) == expected
    assert View(2, 2, valid=mask[::-1]).valid == (True, True, True, False)
    assert View(2, 2, valid=np.broadcast_to(mask[0], (2, 2))).valid == (True, False, True, False)
    with pytest.raises(ValueError, match=r"shape \[2, 2\]"):
        View(2, 2, valid=np.ones((1, 4), dtype=bool))


def test_a_box_is_finite():
    with pytest.raises(ValueError, match="finite"):
        View(1, 1, box=(0.0, 0.0, float("inf"), 1.0))


def test_constants_do_not_follow_the_default_device():
    layout = ViewLayout(views=[View(2, 7, valid=[[True] * 7, [False] * 7]), View(1, 3)])
    features = torch.randn(1, layout.n_tokens, 4)
    for selector in (shirg_v2(4, text_weight=0, beta=0), shirg_v3(4)):
        with torch.device("meta"):
            inside = selector(features, layout)
        assert torch.equal(inside.indices, selector(features, layout).indices)
