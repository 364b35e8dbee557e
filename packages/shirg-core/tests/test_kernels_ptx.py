"""The kernels as compiled for GPUs that are not here, run thread by thread on the PTX machine against the reference."""

import pytest
import torch

pytest.importorskip("triton", reason="Triton is not installed on this platform")

from .kernel_cases import CASES
from .kernel_parity import Tally, check
from .ptx.launch import on_ptx_machine

CPU = torch.device("cpu")
EVERY = 3
SOME = list(enumerate(CASES[::EVERY]))
TALLY = Tally()


@pytest.fixture(autouse=True, scope="module")
def poisoned_memory():
    """`torch.empty` is filled with NaN, so that an element that no kernel wrote shows."""
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize(("place", "case"), SOME, ids=lambda x: str(x) if not isinstance(x, int) else "")
def test_compiled_code_matches_the_reference_without_races(place, case):
    with on_ptx_machine(("sm_80", "sm_90")[place % 2], seed=place):
        check(case, CPU, TALLY, truth=case.layout.n_tokens < 100)


def test_enough_cases_were_compared(record_testsuite_property):
    assert TALLY.cases == len(SOME) >= 70
    assert TALLY.different <= 0.01 * TALLY.kept
    record_testsuite_property("ptx_cases", TALLY.cases)
