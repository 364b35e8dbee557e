"""Small selections cost what their calls cost: how many operations each asks for, and what it asks a CPU for."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from shirg_core import ViewLayout, shirg_v2, shirg_v3, shirg_v4
from shirg_core.baselines import ConditionalDPP, dpp
from shirg_core.coverage import clusters
from shirg_core.scores import directions, evidence, normalize
from shirg_core.selection import summary

from .strategies import generator, make_features

ASKING = (clusters, directions, dpp, evidence, normalize, summary)


class Counter(TorchDispatchMode):
    """Counts operations."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        # What is made of other operations counts as these: inference mode does not take it apart.
        with self:
            parts = func.decompose(*args, **(kwargs or {}))
        if parts is not NotImplemented:
            return parts
        self.calls += 1
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(("method", "most"), [(shirg_v2, 109), (shirg_v3, 91), (shirg_v4, 108)])
def test_a_selection_asks_for_few_operations(method, most):
    layout, selector = ViewLayout.single(8, 8), method(16)
    x = make_features("normal", 1, 64, 64, 1)
    inputs = {"text": torch.randn(1, 8, 64, generator=generator(2)), "edges": torch.rand(1, 64, generator=generator(3))}
    selector(x, layout, **inputs)
    with Counter() as counter:
        selector(x, layout, **inputs)
    assert 60 < counter.calls <= most


@pytest.mark.parametrize("kind", ["normal", "lattice"], ids=["plain", "zero-vectors"])
@pytest.mark.parametrize("method", [shirg_v2, shirg_v3, shirg_v4, ConditionalDPP])
def test_what_a_device_cannot_be_asked_changes_no_choice(monkeypatch, method, kind):
    layout, selector = ViewLayout.single(8, 9), method(30)
    x = make_features(kind, 2, 72, 17, 1)
    text, edges = torch.randn(2, 8, 17, generator=generator(2)), torch.rand(2, 72, generator=generator(3))
    inputs = {"text": text, "text_mask": text[..., 0] < 0.9, "edges": edges}
    asked = selector(x, layout, **inputs)
    for module in ASKING:
        monkeypatch.setattr(module, "can_ask", lambda _: False)
    silent = selector(x, layout, **inputs)
    assert torch.equal(asked.indices, silent.indices)
    assert torch.equal(asked.regions, silent.regions)
    assert (asked.scores - silent.scores).abs().max() <= 2.0**-14
