"""The PTX machine notices what it is there to notice."""

import contextlib
import re

import numpy as np
import pytest
import torch

pytest.importorskip("triton", reason="Triton is not installed on this platform")

import triton
import triton.language as tl

from shirg_core import ViewLayout, shirg_v2

from .launches import compile_for, handing_over
from .ptx.arithmetic import permuted
from .ptx.launch import execute, on_ptx_machine
from .ptx.machine import run
from .ptx.memory import DataRaceError
from .ptx.parse import parse
from .ptx.translate import Translator

TARGETS = ("sm_80", "sm_90")
PLAIN = {"enable_fp_fusion": False}


@triton.jit
def running_sum_kernel(x, scratch, out, N: tl.constexpr):
    i = tl.arange(0, N)
    tl.store(scratch + i, tl.load(x + i))
    tl.debug_barrier()
    tl.store(out + i, tl.load(scratch + (N - 1 - i)) + tl.cumsum(tl.load(x + i), 0))


@triton.jit
def same_place_kernel(out):
    tl.store(out, tl.program_id(0))


@triton.jit
def other_programs_kernel(x, out, N: tl.constexpr):
    i = tl.program_id(0) * N + tl.arange(0, N)
    tl.store(x + i, i)
    tl.store(out + i, tl.load(x + (i + N) % (2 * N)))


@triton.jit
def length_kernel(x, out, ROWS: tl.constexpr, D: tl.constexpr):
    i, d = tl.arange(0, ROWS), tl.arange(0, D)
    row = tl.load(x + i[:, None] * D + d[None, :])
    tl.store(out + i, tl.sum(row * row, 1))


@triton.jit
def product_kernel(a, b, out, M: tl.constexpr, N: tl.constexpr, K: tl.constexpr):
    i, j, k = tl.arange(0, M), tl.arange(0, N), tl.arange(0, K)
    left, right = tl.load(a + i[:, None] * K + k[None, :]), tl.load(b + j[:, None] * K + k[None, :])
    tl.store(out + i[:, None] * N + j[None, :], tl.dot(left, tl.trans(right)))


@triton.jit
def atomic_or_not_kernel(out):
    i = tl.arange(0, 32)
    if tl.program_id(0) == 0:
        tl.store(out + i, 5)
    else:
        tl.atomic_max(out + i, 3 + i, sem="relaxed")


@pytest.mark.parametrize("target", TARGETS)
def test_code_is_run_as_the_target_would(target):
    x, scratch, out = torch.arange(256.0), torch.full((256,), torch.nan), torch.full((256,), torch.nan)
    with on_ptx_machine(target):
        running_sum_kernel[(1,)](x, scratch, out, N=256, **PLAIN)
    assert torch.equal(out, x.flip(0) + x.cumsum(0))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("target", TARGETS)
def test_matrix_instructions_multiply(target, dtype):
    g = torch.Generator().manual_seed(0)
    a, b = (torch.randn(rows, 64, generator=g).to(dtype) for rows in (64, 32))
    out = torch.full((64, 32), torch.nan)
    with on_ptx_machine(target):
        product_kernel[(1,)](a, b, out, M=64, N=32, K=64, **PLAIN)
    torch.testing.assert_close(out, a.float() @ b.float().T, rtol=1e-6, atol=1e-5)


def without_barrier(number):
    def edit(ptx):
        lines = ptx.splitlines()
        places = [n for n, line in enumerate(lines) if re.match(r"\s*bar\.sync", line)]
        return "\n".join(line for n, line in enumerate(lines) if n != places[number])

    return edit


@pytest.mark.parametrize("target", TARGETS)
def test_every_missing_barrier_is_a_race(target):
    launches, x = [], torch.arange(256.0)
    with handing_over(launches.append, target):
        running_sum_kernel[(1,)](x, torch.empty(256), torch.empty(256), N=256, **PLAIN)
    barriers = len(re.findall(r"\sbar\.sync", compile_for(launches[0], target).asm["ptx"]))
    assert barriers >= 2
    for number in range(barriers):
        with pytest.raises(DataRaceError, match=r"since the last barrier"):
            execute(launches[0], target, edit=without_barrier(number))


def test_most_missing_barriers_of_the_clustering_are_races():
    """A barrier that a second round would need, or that stands beside another, is not missed by every input."""
    layout, launches = ViewLayout.anyres(1, 2, 9), []
    g = torch.Generator().manual_seed(0)
    inputs = {"text": torch.randn(1, 5, 64, generator=g), "edges": torch.rand(1, layout.n_tokens, generator=g)}

    def keep_and_run(launch):
        launches.append(launch)
        execute(launch, "sm_90")

    with handing_over(keep_and_run):
        shirg_v2(60)(torch.randn(1, layout.n_tokens, 64, generator=g), layout, impl="triton", **inputs)
    boruvka = next(launch for launch in launches if launch.name == "boruvka_kernel")
    barriers = len(re.findall(r"\sbar\.sync", compile_for(boruvka, "sm_90").asm["ptx"]))
    races = 0
    for number in range(barriers):
        try:
            execute(boruvka, "sm_90", edit=without_barrier(number))
        except DataRaceError:
            races += 1
    assert races >= barriers / 2


def test_programs_must_not_meet():
    with on_ptx_machine("sm_90"), pytest.raises(DataRaceError, match="another program of the launch writes"):
        same_place_kernel[(3,)](torch.zeros(1, dtype=torch.int32), **PLAIN)
    out = torch.zeros(64, dtype=torch.int32)
    with on_ptx_machine("sm_90"), pytest.raises(DataRaceError, match="another program of the launch"):
        other_programs_kernel[(2,)](torch.zeros(64, dtype=torch.int32), out, N=32, **PLAIN)


@pytest.mark.parametrize("seed", range(4))
def test_atomics_are_ordered_with_atomics_only(seed):
    with on_ptx_machine("sm_90", seed), pytest.raises(DataRaceError, match="another program of the launch writes"):
        atomic_or_not_kernel[(2,)](torch.zeros(32, dtype=torch.int32), **PLAIN)


PROLOGUE = """
.visible .entry f(
	.param .u64 .ptr .global .align 1 f_param_0
)
.reqntid 32
{
	.reg .b32 	%r<9>;
	.reg .b64 	%rd<9>;
	ld.param.b64 	%rd1, [f_param_0];
	mov.u32 	%r1, %tid.x;
	shl.b32 	%r2, %r1, 4;
	mov.b32 	%r3, global_smem;
	add.s32 	%r4, %r3, %r2;
	xor.b32 	%r5, %r2, 16;
	add.s32 	%r5, %r3, %r5;
	cvt.u64.u32 	%rd2, %r2;
	add.s64 	%rd3, %rd1, %rd2;
"""
COPY = "cp.async.cg.shared.global [ %r4 + 0 ], [ %rd3 + 0 ], 0x10, 16;\n cp.async.commit_group;\n"
READ, BARRIER, WAIT = "ld.shared.b32 %r6, [%r5];\n", "bar.sync 0;\n", "cp.async.wait_group 0;\n"


@pytest.mark.parametrize(
    ("body", "races"),
    [
        (COPY + WAIT + BARRIER + READ, False),
        (READ + BARRIER + COPY + WAIT, False),
        (COPY + WAIT + READ, True),  # another thread's copy, and no barrier
        (READ + COPY + BARRIER + WAIT, True),  # it may arrive before the neighbour has read
    ],
)
def test_an_asynchronous_copy_may_arrive_at_once(body, races):
    code = parse(PROLOGUE + body + "ret;\n}\n")
    with pytest.raises(DataRaceError) if races else contextlib.nullcontext():
        run(code, Translator(code).functions(), (1,), [torch.zeros(128)], 512)


@pytest.mark.parametrize(
    "line",
    ["cvt.rmi.f32.f32 %r6, %r1;", "atom.shared.add.u32 %r6, [%r4], 1;\n add.s32 %r7, %r6, 1;", "lop3.b32 %r6, %r1;"],
)
def test_what_is_not_known_is_refused(line):
    code = parse(PROLOGUE + line + "\n ret;\n}\n")
    with pytest.raises((NotImplementedError, KeyError)):
        Translator(code).functions()


def test_bytes_are_permuted_as_a_selector_says():
    low, high = np.array([0x04030201, 0x80FF7F00], np.uint32), np.uint32(0x08070605)
    for selector, expected in ((0x3210, low), (0x5410, [0x06050201, 0x06057F00]), (0xB333, [0x00040404, 0xFF808080])):
        assert permuted(low, high, np.uint32(selector)).tolist() == list(expected)


def test_threads_that_hold_one_value_must_agree_on_it():
    """Products that the compiler fuses into a row's sum are rounded by some of its lanes and not by others."""
    x, out = torch.randn(64 * 32 + 1, generator=torch.Generator().manual_seed(0))[1:], torch.empty(64)
    with on_ptx_machine("sm_90"):
        length_kernel[(1,)](x, out, ROWS=64, D=32, enable_fp_fusion=False)
    torch.testing.assert_close(out, x.view(64, 32).square().sum(1))
    with on_ptx_machine("sm_90"), pytest.raises(DataRaceError, match="different values to one place"):
        length_kernel[(1,)](x, out, ROWS=64, D=32, enable_fp_fusion=True)


@pytest.mark.parametrize("short", [torch.zeros(255), torch.zeros(512)[:100]])
def test_an_access_outside_of_a_tensor_is_refused(short):
    with on_ptx_machine("sm_90"), pytest.raises(IndexError, match="argument 2"):
        running_sum_kernel[(1,)](torch.zeros(256), torch.zeros(256), short, N=256, **PLAIN)
