"""Tensors that depend on geometry alone: shared, and never freed under a CUDA graph that reads them."""

import gc
import weakref

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from shirg_core import ViewLayout, constants, shirg_v2, shirg_v3


@pytest.fixture
def capturing(monkeypatch):
    """Switch a pretended capture on and off; what it held is let go afterwards."""
    monkeypatch.setattr(constants, "_HELD_FOR_GRAPHS", {})
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)

    def switch(on):
        monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: on)

    return switch


@constants.constant
def pair(n):
    return torch.arange(n), None


@pytest.mark.parametrize("captured", [True, False])
def test_what_a_graph_has_captured_outlives_the_cache(capturing, captured):
    capturing(False)
    warm = weakref.ref(pair(1000)[0])
    capturing(captured)
    assert pair(1000)[0] is pair(1000)[0] is warm()
    assert len(constants._HELD_FOR_GRAPHS) == captured
    capturing(False)
    for other in range(257):
        pair(other)
    gc.collect()
    assert (warm() is not None) == captured


def test_no_stream_is_asked_about_before_cuda_has_started(monkeypatch):
    def started():
        raise AssertionError("this starts CUDA")

    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", started)
    assert len(pair(7)[0]) == 7


class Chosen(torch.nn.Module):
    """A selection on one layout, as a module to export."""

    def __init__(self, selector, layout):
        super().__init__()
        self.selector, self.layout = selector, layout

    def forward(self, features):
        return self.selector(features, self.layout).tokens


@pytest.mark.parametrize("selector", [shirg_v2(5, alpha=1, beta=0), shirg_v3(5)], ids=["v2", "v3"])
@pytest.mark.parametrize("side", [5, 6])
def test_selection_can_be_exported_and_leaves_no_traces(selector, side):
    layout = ViewLayout.single(side, side)
    features = torch.randn(2, side**2, 8, generator=torch.Generator().manual_seed(side))
    exported = torch.export.export(Chosen(selector, layout), (features,), strict=side == 5)
    assert torch.equal(exported.module()(features), selector(features, layout).tokens)


def test_constants_built_for_fake_tensors_are_real():
    layout = ViewLayout.single(3, 7)
    with FakeTensorMode(allow_non_fake_inputs=True):
        assert shirg_v3(5)(torch.randn(1, 21, 8), layout).tokens.shape == (1, 6, 8)
    assert layout.boxes()[0].tolist() == pytest.approx([0, 0, 1 / 7, 1 / 3])
    assert shirg_v3(5)(torch.randn(1, 21, 8), layout).tokens.isfinite().all()
