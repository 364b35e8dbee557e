"""LoRA's dropout as a function of the row, so that it does not depend on how rows are batched (arXiv 1207.0580).

    y = x ⊙ m / (1 − p),     m_{t,c} = [ h(h(key ⊕ layer) + t, c) ≥ p ]     t counted from the row's end

h is SplitMix64's finaliser (Steele, Lea, Flood 2014): the mask is computed from the key of the row, the layer's name
and the place, on any device alike. Padding is on the left, so counting from the end gives a token the same mask in
every micro-batch, on any number of ranks, and again when activations are recomputed in the backward pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar

import torch
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn

from shirg_train.seeds import derive

_KEYS: ContextVar[Tensor | None] = ContextVar("row_keys", default=None)
_GOLDEN = -7046029254386353131
"""2⁶⁴ / φ, as the signed number that wraps to it."""
_MULTIPLIERS = (-4658895280553007687, -7723592293110705685)


class RowDropout(nn.Module):
    """Dropout of `x [n·B, T, D]` by the keys `[B]` of `row_keys`; a row's n stacked samples get masks of their own.

    Args:
        p: share of entries that are dropped, in [0, 1).
        name: of the layer.
    """

    def __init__(self, p: float, name: str) -> None:
        super().__init__()
        self.p, self.salt = p, derive(0, "dropout layer", name)

    def forward(self, x: Tensor) -> Tensor:
        """Drop while training.

        Raises:
            RuntimeError: there are no keys, or not one for each row.
        """
        if not self.training or not self.p:
            return x
        keys = _KEYS.get()
        if keys is None or len(x) % len(keys):
            raise RuntimeError(f"{len(x)} rows of dropout have {0 if keys is None else len(keys)} keys: see row_keys")
        keys = stacked_keys(keys, len(x) // len(keys)) ^ self.salt
        return torch.where(keep_mask(keys, x.shape[1], x.shape[2], self.p), x / (1 - self.p), 0.0)


def seed_dropout(model: nn.Module) -> None:
    """Replace the dropout of every adapted linear, in place; from now on training needs `row_keys`."""
    for name, layer in model.named_modules():
        if isinstance(layer, LoraLayer):
            for adapter, dropout in layer.lora_dropout.items():
                if isinstance(dropout, nn.Dropout):
                    layer.lora_dropout[adapter] = RowDropout(dropout.p, name)


@contextmanager
def row_keys(keys: Tensor | None) -> Iterator[None]:
    """Dropout inside draws from `keys [B]` int64."""
    token = _KEYS.set(keys)
    try:
        yield
    finally:
        _KEYS.reset(token)


def recompute_contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """`context_fn` of `torch.utils.checkpoint`: the backward pass, perhaps on another thread, sees today's keys."""
    return nullcontext(), row_keys(_KEYS.get())


def stacked_keys(keys: Tensor, n: int) -> Tensor:
    """`[B]` → `[n·B]`, n different keys for each row."""
    return _mix(keys + torch.arange(n, device=keys.device)[:, None] * _GOLDEN).flatten()


def keep_mask(keys: Tensor, tokens: int, channels: int, p: float) -> Tensor:
    """`[R, T, D]` bool, True with probability 1 − p.

    Args:
        keys: `[R]` int64.
        tokens: T; the last one has the same mask whatever T is.
        channels: D.
        p: share of False.
    """
    place = torch.arange(tokens, 0, -1, device=keys.device)
    token = _mix(keys[:, None] + place * _GOLDEN)
    draw = _mix(token[..., None] + torch.arange(1, channels + 1, device=keys.device) * _GOLDEN)
    return _shift(draw, 11) >= int(p * 2**53)


def _mix(z: Tensor) -> Tensor:
    z = (z ^ _shift(z, 30)) * _MULTIPLIERS[0]
    z = (z ^ _shift(z, 27)) * _MULTIPLIERS[1]
    return z ^ _shift(z, 31)


def _shift(z: Tensor, bits: int) -> Tensor:
    """To the right, with zeros: torch copies the sign."""
    return (z >> bits) & ((1 << 64 - bits) - 1)
