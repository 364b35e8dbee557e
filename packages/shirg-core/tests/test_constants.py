"""Tensors that depend on geometry alone: shared, and never freed under a CUDA graph that reads them."""

import gc
import weakref

import pytest
import torch

from shirg_core import constants


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
