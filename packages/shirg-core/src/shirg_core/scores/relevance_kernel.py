"""Text relevance `R_i = max_j cos(v_i, t_j)`, tiled on the matrix units (see `scores.relevance`).

A program takes a block of visual tokens past all text tokens, so the features are read once and the maximum never
leaves registers. Half-precision products are exact in float32; the norms divide afterwards.

| symbol | variable  | shape       |
|--------|-----------|-------------|
| v      | x         | `[B, N, D]` |
| t      | text      | `[B, M, D]` |
| R      | (returned) | `[B, N]`   |
"""

# Device code has no Python types.
# ruff: noqa: ANN001, ANN201
# mypy: disable-error-code="untyped-decorator, no-untyped-def"

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from shirg_core.kernels.configs import relevance_config
from shirg_core.kernels.numerics import TINY, dot, is_aligned, needs_upcast

NORM_FLOOR = tl.constexpr(1e-12)  # the one of `torch.nn.functional.normalize`


def relevance(features: Tensor, norm: Tensor, text: Tensor, text_norm: Tensor, text_mask: Tensor | None) -> Tensor:
    """`[B, N]` float32; `features [B, N, D]` and `text [B, M, D]` with a dense last dimension, `text_mask [B, M]`."""
    batch, n, width = features.shape
    m = text.shape[1]
    upcast = needs_upcast(features, text)
    config = relevance_config(upcast, is_aligned(features, text))
    out = torch.empty(batch, n, dtype=torch.float32, device=features.device)
    relevance_kernel[(triton.cdiv(n, config.block), batch)](
        features, norm, text, text_norm, None if text_mask is None else text_mask.contiguous(), out,
        n, m, features.stride(0), features.stride(1), text.stride(0), text.stride(1),
        D=width, BLOCK=config.block, BLOCK_D=config.block_d, UPCAST=upcast,
        **config.options,
    )  # fmt: skip
    return out


# A value that differs between calls on one layout must not compile anew: a graph's capture could not wait for it.
@triton.jit(do_not_specialize=("m",))
def relevance_kernel(
    x, norm, text, text_norm, text_mask, out,
    n, m, stride_b, stride_n, text_stride_b, text_stride_m,
    D: tl.constexpr, BLOCK: tl.constexpr, BLOCK_D: tl.constexpr, UPCAST: tl.constexpr,
):  # fmt: skip
    """Program (block of visual tokens, image)."""
    b = tl.program_id(1).to(tl.int64)
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    row = tl.minimum(i, n - 1)
    row_norm = tl.load(norm + b * n + row)
    is_point = (row_norm > 0.0)[:, None]  # padding has norm 0; whatever it holds is not read
    best = tl.full([BLOCK], float("-inf"), tl.float32)
    for first in range(0, m, BLOCK):
        j = first + tl.arange(0, BLOCK)
        is_text = j < m
        if text_mask is not None:
            # What a masked token holds (NaN included) is never read.
            is_text = is_text & (tl.load(text_mask + b * m + j, mask=is_text, other=0) != 0)
        product = tl.zeros([BLOCK, BLOCK], tl.float32)
        for start in tl.range(0, D, BLOCK_D):
            d = start + tl.arange(0, BLOCK_D)
            inside = (d < D)[None, :]
            v = tl.load(x + b * stride_b + row[:, None] * stride_n + d[None, :], mask=is_point & inside, other=0.0)
            t_at = text + b * text_stride_b + j[:, None] * text_stride_m + d[None, :]
            t = tl.load(t_at, mask=is_text[:, None] & inside, other=0.0)
            product = dot(v, tl.trans(t), product, UPCAST)
        length = tl.maximum(tl.load(text_norm + b * m + j, mask=is_text, other=1.0), NORM_FLOOR)
        absent = tl.where(is_text, 0.0, float("-inf"))
        best = tl.maximum(best, tl.max(product * (1.0 / length)[None, :] + absent[None, :], 1))
    tl.store(out + b * n + i, tl.div_rn(best, tl.maximum(row_norm, TINY)), mask=i < n)
