"""From the tower's channels to the language model's.

`linear` and `mlp<n>x_gelu` (Linear, then n−1 times GELU, Linear) work token by token, so they take any number of
tokens. `pooler` convolves r × r tokens of the grid into one, then GELU, Linear; it needs each view's full grid.
"""

from __future__ import annotations

import re

from torch import Tensor, nn


class PoolerProjector(nn.Module):
    """`conv_pool` with stride = kernel = ratio over the grid, then GELU and a linear layer; upstream's parameter names.

    Args:
        vision_dim: channels in.
        hidden_dim: channels out.
        side: tokens along the grid's side.
        ratio: grid cells per output token along one side; a remainder is dropped (27 → 13).
    """

    def __init__(self, vision_dim: int, hidden_dim: int, side: int, ratio: int) -> None:
        super().__init__()
        self.side, self.ratio = side, ratio
        self.conv_pool = nn.Conv2d(vision_dim, hidden_dim, kernel_size=ratio, stride=ratio)
        self.proj = nn.Sequential(nn.GELU(), nn.Linear(hidden_dim, hidden_dim))

    @property
    def pooled_side(self) -> int:
        """Tokens along the output grid's side."""
        return self.side // self.ratio

    def forward(self, x: Tensor) -> Tensor:
        """`[V, side·side, vision_dim]` → `[V, pooled_side², hidden_dim]`.

        Raises:
            ValueError: anything but full grids.
        """
        views, count, channels = x.shape
        if count != self.side**2:
            raise ValueError(
                f"a pooler projector needs each view's full {self.side} × {self.side} grid, got {count} tokens: "
                "select after it, not before"
            )
        grid = x.reshape(views, self.side, self.side, channels).permute(0, 3, 1, 2)
        out: Tensor = self.proj(self.conv_pool(grid).flatten(2).transpose(1, 2))
        return out


def build_projector(kind: str, vision_dim: int, hidden_dim: int, *, side: int, pooler_ratio: int) -> nn.Module:
    """The projector that `mm_projector_type` names; parameter names are upstream's.

    Raises:
        ValueError: an unknown kind.
    """
    if kind == "linear":
        return nn.Linear(vision_dim, hidden_dim)
    if kind == "pooler":
        return PoolerProjector(vision_dim, hidden_dim, side, pooler_ratio)
    match = re.fullmatch(r"mlp([1-9]\d*)x_gelu", kind)
    if match is None:
        raise ValueError(f"unknown mm_projector_type {kind!r}; expected linear, mlp<n>x_gelu or pooler")
    layers: list[nn.Module] = [nn.Linear(vision_dim, hidden_dim)]
    for _ in range(int(match[1]) - 1):
        layers += [nn.GELU(), nn.Linear(hidden_dim, hidden_dim)]
    return nn.Sequential(*layers)
