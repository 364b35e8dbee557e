"""What the kernels ask of their inputs before a launch: strides, alignment, batch size."""

import pytest
import torch

from shirg_core import ViewLayout, shirg_v2, shirg_v3

pytest.importorskip("triton", reason="Triton is not installed on this platform")

from shirg_core.kernels.numerics import is_aligned, unit_stride

from .launches import record


def test_unit_stride_copies_only_what_the_kernels_cannot_address():
    fits = torch.empty_strided((1, 2, 8), (2**31, 2**30 - 1, 1), device="meta")
    assert unit_stride(fits) is fits
    across_images = torch.empty_strided((9, 2, 8), (2**31, 8, 1), device="meta")
    assert unit_stride(across_images) is across_images
    scores = torch.empty_strided((3, 8), (2**31, 1), device="meta")
    assert unit_stride(scores) is scores
    for strides in ((2**31, 2**30, 1), (2**33, 2**32, 1), (16, 8, 2)):
        assert unit_stride(torch.empty_strided((1, 2, 8), strides, device="meta")).stride() == (16, 8, 1)


def test_alignment_is_what_triton_sees():
    memory = torch.zeros(1024, dtype=torch.bfloat16)
    assert is_aligned(memory[:320].view(2, 5, 32))
    assert is_aligned(memory[8:328].view(2, 5, 32))
    assert not is_aligned(memory[1:321].view(2, 5, 32))
    assert not is_aligned(memory[:350].view(2, 5, 35))
    assert not is_aligned(memory.as_strided((2, 5, 32), (168, 32, 1)))
    assert not is_aligned(memory.as_strided((1, 5, 32), (168, 32, 1)))
    assert not is_aligned(memory[:320].view(2, 5, 32), memory[1:321].view(2, 5, 32))


@pytest.mark.parametrize("selector", [shirg_v2(1, text_weight=0, beta=0), shirg_v3(1)], ids=["v2", "v3"])
def test_more_images_than_a_grid_holds_are_refused_by_number(selector):
    one = torch.zeros(1, 1, 2)
    with record() as launches, pytest.raises(ValueError, match="at most 65535 images in a call, got B=65536"):
        selector(one.expand(65536, 1, 2), ViewLayout.single(1, 1), impl="triton")
    assert not launches
