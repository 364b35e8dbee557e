"""Every kernel compiled for GPUs that are not here: launch counts, registers, spills, shared memory, instructions."""

import sys

import pytest
import torch

from shirg_core import View, ViewLayout, shirg_v2, shirg_v3, shirg_v4

pytest.importorskip("triton", reason="Triton is not installed on this platform")

from .launches import SHARED_LIMIT, TARGETS, figures, record, specialisation

V3_LAYOUT, V2_LAYOUT = ViewLayout.single(48, 48), ViewLayout.anyres(2, 2, 27)
ODD_LAYOUT = ViewLayout(
    views=[View(24, 27, valid=torch.arange(648).view(24, 27) % 27 > 3), View(5, 3, pinned=True), View(96, 96)]
)


def v3_launches(dtype, layout=V3_LAYOUT, k=768, width=1152, target="sm_90", **knobs):
    with record(target) as launches:
        shirg_v3(k, **knobs)(torch.zeros(1, layout.n_tokens, width, dtype=dtype), layout, impl="triton")
    return launches


def v2_launches(dtype, layout=V2_LAYOUT, k=1024, width=1152, backward=False, **knobs):
    x = torch.zeros(1, layout.n_tokens, width, dtype=dtype, requires_grad=True)
    inputs = {"text": torch.zeros(1, 48, width, dtype=dtype), "text_mask": torch.ones(1, 48, dtype=torch.bool)}
    with record() as launches:
        chosen = shirg_v2(k, **knobs)(x, layout, edges=torch.zeros(1, layout.n_tokens), impl="triton", **inputs)
        if backward:
            torch.autograd.grad(chosen.tokens.sum(), x)
    return launches


def v4_launches(dtype, layout=V3_LAYOUT, k=768, width=1152, target="sm_90", n_text=48, batch=1, **knobs):
    x, per_token = torch.zeros(batch, layout.n_tokens, width, dtype=dtype), torch.zeros(batch, layout.n_tokens)
    text = torch.zeros(batch, n_text, width, dtype=dtype)
    with record(target) as launches:
        shirg_v4(k, **knobs)(x, layout, text=text, edges=per_token, attention=per_token, impl="triton")
    return launches


def names(launches):
    return [launch.name.removesuffix("_kernel") for launch in launches]


V3_LAUNCHES = ["statistics", "attention", "attention_sums", "attention", "rank", "gather"]


def test_a_preset_is_five_or_six_launches_and_its_backward_one():
    assert names(v3_launches(torch.bfloat16)) == V3_LAUNCHES
    v2 = ["statistics", "relevance", "boruvka", "rank", "gather"]
    assert names(v2_launches(torch.bfloat16, backward=True)) == [*v2, "scatter"]
    assert names(v4_launches(torch.bfloat16)) == ["statistics", "distinctness", "rank", "gather"]


def test_what_is_not_used_is_not_launched():
    assert names(v3_launches(torch.bfloat16, attention_weight=0.0, summary="mean")) == ["statistics", "rank", "gather"]
    assert names(v2_launches(torch.bfloat16, alpha=1.0, coverage="cells")) == ["statistics", "rank", "gather"]


def test_only_half_the_tiles_of_the_cosines_are_computed():
    _, rows, _, columns, *_ = v3_launches(torch.bfloat16)
    assert rows.grid == columns.grid == (18 * 19 // 2, 1)


def v2_compiles(k, n_text, batch, layout):
    x = torch.zeros(batch, layout.n_tokens, 64, dtype=torch.bfloat16, requires_grad=True)
    text, edges = torch.zeros(batch, n_text, 64, dtype=torch.bfloat16), torch.zeros(batch, layout.n_tokens)
    with record() as launches:
        chosen = shirg_v2(k)(x, layout, text=text, edges=edges, impl="triton")
        torch.autograd.grad(chosen.tokens.sum(), x)
    return names(launches), [specialisation(launch) for launch in launches]


def test_another_budget_text_or_batch_compiles_nothing_anew():
    """A capture cannot compile: K, M, the dropped count, the rounds and B·N modulo 4 must not be compiled in."""
    layout = ViewLayout.anyres(2, 2, 9)
    known = v2_compiles(64, 48, 1, layout)
    for k, n_text, batch in ((404, 1, 1), (5, 16, 2), (65, 47, 3), (261, 129, 4)):
        assert v2_compiles(k, n_text, batch, layout) == known
    known = {specialisation_key(one) for one in v4_launches(torch.bfloat16, layout, 64, 64)}
    for k, n_text, batch in ((404, 1, 1), (5, 16, 2)):
        others = v4_launches(torch.bfloat16, layout, k, 64, n_text=n_text, batch=batch)
        assert {specialisation_key(one) for one in others} == known


def specialisation_key(launch):
    return launch.name, str(specialisation(launch))


def compiled(launches, target, capsys):
    found = [figures(launch, target) for launch in launches]
    with capsys.disabled():
        sys.stdout.write("\n" + "\n".join(map(str, found)) + "\n")
    for one in found:
        assert one.spilled_bytes == 0, one
        assert one.shared_bytes <= SHARED_LIMIT[target], one
        assert "C7511" not in one.remarks, f"wgmma serialised: {one.remarks}"
    return found


@pytest.mark.parametrize("target", TARGETS)
def test_bfloat16_kernels_fit_every_target(target, capsys):
    half = v3_launches(torch.bfloat16, target=target) + v2_launches(torch.bfloat16, backward=True)
    half += v4_launches(torch.bfloat16, target=target)[2:3]
    for one in compiled(half, target, capsys):
        if one.kernel in ("attention_kernel", "relevance_kernel"):
            matrix = {"sm_80": "mma.sync", "sm_90": "wgmma.mma_async", "sm_100": "tcgen05.mma", "gfx942": "v_mfma"}
            assert matrix[target] in one.code
        if one.kernel == "attention_kernel" and target == "sm_90":
            # Two programs of 256 threads to a multiprocessor: the 171 tiles of 2304 tokens run in one wave.
            assert one.registers * 256 * 2 <= 65536
            assert one.shared_bytes * 2 <= SHARED_LIMIT[target]


@pytest.mark.parametrize("target", TARGETS)
def test_float32_products_fit_every_target_and_are_not_tf32(target, capsys):
    single = v3_launches(torch.float32)[:4] + v2_launches(torch.float32)[1:2]
    single += v4_launches(torch.float32)[1:2] + v4_launches(torch.float32, width=128)[1:2]
    for one in compiled(single, target, capsys):
        assert "tf32" not in one.code
        assert "xf32" not in one.code


def test_odd_and_large_shapes_fit(capsys):
    """Padding, pinned views, 9 879 tokens in several chunks, an odd width, clusters for v3."""
    clustered = v3_launches(torch.float16, ODD_LAYOUT, 3001, 70, coverage="clusters")
    assert names(clustered) == [*V3_LAUNCHES[:4], "boruvka", *V3_LAUNCHES[4:]]
    in_cells = v3_launches(torch.float16, ODD_LAYOUT, 3001, 70)[4:5]
    assert names(in_cells) == ["rank"]
    huge_weight = v2_launches(torch.float16, ODD_LAYOUT, 3001, 70, beta=9e5, coverage="none")[1:]
    assert names(huge_weight) == ["relevance", "rank", "gather"]
    compiled(clustered + in_cells + huge_weight, "sm_90", capsys)
