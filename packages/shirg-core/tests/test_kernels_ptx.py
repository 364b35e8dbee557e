"""The kernels as compiled for GPUs that are not here, run thread by thread on the PTX machine against the reference."""

import sys

import pytest
import torch

from shirg_core import ViewLayout, shirg_v2, shirg_v3

pytest.importorskip("triton", reason="Triton is not installed on this platform")

from .kernel_cases import CASES
from .kernel_parity import check
from .launches import handing_over
from .ptx.launch import execute, on_ptx_machine

CPU = torch.device("cpu")
# Two of five, which mixes methods, types and kinds; float64, which no other check compiles; and, in 16 bits, tokens
# that share a direction, the only ones that need second parts.
SOME = [
    (i, case)
    for i, case in enumerate(CASES)
    if i % 5 in (0, 2) or case.dtype == torch.float64 or (case.dtype == torch.bfloat16 and "+" in case.kind)
]
assert len(SOME) >= 90
# Every third of them on every push, sixteen for each target; the others carry a mark.
PUSHED = 3
TARGETS = ("sm_80", "sm_90")
pytestmark = pytest.mark.usefixtures("poisoned_memory")


@pytest.mark.parametrize(
    ("target", "place", "case"),
    [
        pytest.param(
            TARGETS[n % 2], place, case, id=str(case), marks=() if n // 2 % PUSHED == 0 else pytest.mark.release
        )
        for n, (place, case) in enumerate(SOME)
    ],
)
def test_compiled_code_matches_the_reference_without_races(target, place, case):
    with on_ptx_machine(target, seed=place):
        check(case, CPU, truth=case.layout.n_tokens < 100)


# Cycles on Hopper by the machine's estimate, which is no measurement: a guard against making the serial kernels longer.
LONGEST = {"v3-rank": 44_000, "v2-rank": 43_000, "v2-boruvka": 25_000}


@pytest.mark.parametrize("preset", ["v3", "v2"])
def test_programs_that_others_wait_for_stay_short(preset, capsys):
    """Of random components at the presets' own sizes: one program per image ranks, one per view clusters."""
    g = torch.Generator().manual_seed(0)
    if preset == "v3":
        selector, layout, more = shirg_v3(768), ViewLayout.single(48, 48), {}
    else:
        selector, layout = shirg_v2(1024), ViewLayout.anyres(2, 2, 27)
        more = {
            "text": torch.zeros(1, 48, 1152, dtype=torch.bfloat16),
            "edges": torch.rand(1, layout.n_tokens, generator=g),
        }
    cycles = {}

    def estimate(launch):
        name = f"{preset}-{launch.name.removesuffix('_kernel')}"
        if name in LONGEST:
            clocks = []
            execute(launch, "sm_90", clocks=clocks)
            cycles[name] = max(clock.now for clock in clocks)
        for tensor in (value for _, value in launch.arguments if isinstance(value, torch.Tensor)):
            if name not in LONGEST and tensor.isnan().any():  # what earlier launches would have computed
                tensor.uniform_(0, 0.9, generator=g)

    with handing_over(estimate):
        selector(torch.zeros(1, layout.n_tokens, 1152, dtype=torch.bfloat16), layout, impl="triton", **more)
    with capsys.disabled():
        sys.stdout.write("".join(f"\n{name}: about {now:.0f} cycles" for name, now in cycles.items()))
    assert set(cycles) == {name for name in LONGEST if name.startswith(preset)}
    for name, now in cycles.items():
        assert now <= LONGEST[name], name
