"""Attention received from some of the tokens only (`attention_queries`).

    A_i = 1/Q · Σ_j e_ji / r_j        e_ji = exp((cos(v_j, v_i) − 1)/τ)        r_j = Σ_i e_ji        (j over Q queries)

As `attention`, without its symmetry: Q×n tiles, in one pass for the rows' sums and one for the columns'.
"""

from __future__ import annotations

import math

# Device code has no Python types.
# ruff: noqa: ANN001, ANN201
# mypy: disable-error-code="untyped-decorator, no-untyped-def"
import torch
import triton
import triton.language as tl
from torch import Tensor

from shirg_core.kernels.configs import attention_config
from shirg_core.kernels.cosines import exponential_tile, sum_parts, token_at
from shirg_core.kernels.numerics import is_aligned, needs_upcast


def received_parts(features: Tensor, norm: Tensor, keys: Tensor | None, asking: Tensor, temperature: float) -> Tensor:
    """Partial sums of `Q·A`, `[B, T, n]` over tiles of queries.

    Args:
        features: `[B, N, D]`, dense last dimension.
        norm: `[B, N]` float32.
        keys: `[n]` int64, ascending tokens that take part; None = all.
        asking: `[Q]` int64, tokens that ask.
        temperature: τ.
    """
    batch, n, width = features.shape
    n_keys, n_asking = n if keys is None else len(keys), len(asking)
    upcast = needs_upcast(features)
    config = attention_config(features.device, upcast, is_aligned(features))
    key_tiles, query_tiles = triton.cdiv(n_keys, config.block), triton.cdiv(n_asking, config.block)
    sums = torch.empty(batch, key_tiles, n_asking, dtype=torch.float32, device=features.device)
    parts = torch.empty(batch, query_tiles, n_keys, dtype=torch.float32, device=features.device)
    for given, out in ((None, sums), (sums, parts)):
        attention_some_kernel[(query_tiles * key_tiles, batch)](
            features, norm, asking, keys, given, out,
            n, n_asking, n_keys, features.stride(0), features.stride(1), math.log2(math.e) / temperature,
            D=width, BLOCK=config.block, BLOCK_D=config.block_d, UPCAST=upcast,
            **config.options,
        )  # fmt: skip
    return parts


@triton.jit
def attention_some_kernel(
    x, norm, asking, keys, sums, out, n, n_asking, n_keys, stride_b, stride_n, scale,
    D: tl.constexpr, BLOCK: tl.constexpr, BLOCK_D: tl.constexpr, UPCAST: tl.constexpr,
):  # fmt: skip
    """Program (tile, image). Without `sums`: partial r of the queries; with it: partial Q·A of the keys."""
    pid, b = tl.program_id(0), tl.program_id(1).to(tl.int64)
    key_tiles, query_tiles = tl.cdiv(n_keys, BLOCK), tl.cdiv(n_asking, BLOCK)
    p, q = pid // key_tiles, pid % key_tiles
    j, i = p * BLOCK + tl.arange(0, BLOCK), q * BLOCK + tl.arange(0, BLOCK)
    row, col = token_at(asking, j, n_asking), token_at(keys, i, n_keys)
    norm += b * n
    e = exponential_tile(x + b * stride_b, norm, row, col, stride_n, scale, D, BLOCK, BLOCK_D, UPCAST)
    if sums is None:
        at = out + (b * key_tiles + q) * n_asking + j
        tl.store(at, tl.sum(tl.where((i < n_keys)[None, :], e, 0.0), 1), mask=j < n_asking)
    else:
        total = sum_parts(sums + b * key_tiles * n_asking, key_tiles, n_asking, j, j < n_asking, BLOCK)
        weight = tl.where(j < n_asking, 1.0 / tl.where(j < n_asking, total, 1.0), 0.0)
        received = tl.sum(e * weight[:, None], 0)
        tl.store(out + (b * query_tiles + p) * n_keys + i, received, mask=i < n_keys)
