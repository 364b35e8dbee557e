"""Small selections cost what their calls cost: how many of torch's operations each preset asks for, 16 of 64 tokens."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from shirg_core import ViewLayout, shirg_v2, shirg_v3, shirg_v4

from .strategies import generator, make_features


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
