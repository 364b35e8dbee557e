"""One hypothesis profile for every run, so that CI and a desk see the same examples; `thorough` digs deeper."""

import pytest
import torch
from hypothesis import HealthCheck, settings

_COMMON = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("ci", derandomize=True, max_examples=60, **_COMMON)
settings.register_profile("thorough", max_examples=2000, **_COMMON)
settings.load_profile("ci")


@pytest.fixture(scope="module")
def poisoned_memory():
    """`torch.empty` is filled with NaN, so that an element that no kernel wrote shows."""
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)
