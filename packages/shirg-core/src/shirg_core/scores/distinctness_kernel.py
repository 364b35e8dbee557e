"""Near-copies of each token, `Σ_j max(0, left_i · right_j)⁴`, by tiles: N×N lives nowhere (see `scores.distinctness`).

A program takes a block of tokens past all tokens in float32, in the same order for every token: copies of a token have
equal sums, bit for bit. Rows come in whole tiles and those past the end are 0, nobody's copy: no row is masked.

| symbol | variable    | shape     |
|--------|-------------|-----------|
| left   | left        | `[n', r]` |
| right  | right       | `[n', r]` |
| Σ_j    | (returned)  | `[n]`     |
"""

# Device code has no Python types.
# ruff: noqa: ANN001, ANN201
# mypy: disable-error-code="untyped-decorator, no-untyped-def"

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from shirg_core.kernels.numerics import dot

ROWS, COLUMNS, CHANNELS = 32, 64, 16


def count_copies(left: Tensor, right: Tensor, n: int) -> Tensor:
    """`[n]` float64; `left` and `right` `[n', r]` contiguous float32, n' in whole tiles of 64."""
    out = torch.empty(len(left), dtype=torch.float32, device=left.device)
    distinctness_kernel[(len(left) // ROWS,)](
        left, right, out, len(left),
        R=left.shape[1], ROWS=ROWS, COLUMNS=COLUMNS, CHANNELS=CHANNELS,
        num_warps=4, num_stages=2, enable_fp_fusion=False,
    )  # fmt: skip
    return out[:n].double()


@triton.jit
def distinctness_kernel(
    left, right, out, n,
    R: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    """Program (block of tokens)."""
    i = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    total = tl.zeros([ROWS, COLUMNS], tl.float32)
    for first in range(0, n, COLUMNS):
        j = first + tl.arange(0, COLUMNS)
        near = tl.zeros([ROWS, COLUMNS], tl.float32)
        for start in tl.static_range(0, R, CHANNELS):
            c = start + tl.arange(0, CHANNELS)
            inside = (c < R)[None, :]
            a = tl.load(left + i[:, None] * R + c[None, :], mask=inside, other=0.0)
            b = tl.load(right + j[:, None] * R + c[None, :], mask=inside, other=0.0)
            near = dot(a, tl.trans(b), near, True)
        near = tl.maximum(near, 0.0)
        near = near * near
        total += near * near
    tl.store(out + i, tl.sum(total, 1))
