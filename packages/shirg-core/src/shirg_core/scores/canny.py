"""Canny's edge detector (IEEE PAMI 8(6), 1986) in plain torch: static shapes, no data-dependent loop.

    1. Y_σ = Gaussian(Y; σ = 1.4), separable, 9 taps, borders replicated
    2. (g_x, g_y) = Sobel(Y_σ) / 4, so that a ramp of slope 1 per pixel has magnitude 2;  m = sqrt(g_x² + g_y²)
    3. keep m where it is a maximum along the gradient direction, quantised to 0°, 45°, 90°, 135°
    4. strong = m ≥ 0.2, weak = m ≥ 0.1; weak pixels joined to a strong one (8 neighbours) are edges

Step 4 grows the strong set by one pixel a round for a fixed number of rounds: a weak chain further than that many
pixels from its nearest strong pixel is cut, which an unbounded search would keep.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

SIGMA = 1.4
RADIUS = 4
HYSTERESIS_ROUNDS = 16
MAGNITUDE_GRID = 2**16
TAN_22_5 = 0.41421356237309503


def canny_edges(
    image: Tensor, *, low: float = 0.1, high: float = 0.2, hysteresis_rounds: int = HYSTERESIS_ROUNDS
) -> Tensor:
    """Binary edge map.

    Args:
        image: `[B, 1, H, W]` luma in [0, 1], float32.
        low: gradient magnitude from which a pixel may continue an edge.
        high: gradient magnitude from which a pixel starts one, ≥ `low`.
        hysteresis_rounds: how many pixels an edge may continue from its strong pixels.

    Returns:
        `[B, 1, H, W]` bool.

    Raises:
        ValueError: thresholds out of order.
    """
    if not 0 < low <= high:
        raise ValueError(f"Canny needs 0 < low ≤ high, got low={low}, high={high}")
    g_x, g_y = _sobel(_blur(image))
    # On a grid, so that the two sides of an ideal step tie exactly and only one of them stays, whatever the rounding.
    magnitude = torch.round(torch.sqrt(g_x.square() + g_y.square()) * MAGNITUDE_GRID) / MAGNITUDE_GRID
    thin = torch.where(_is_ridge(magnitude, g_x, g_y), magnitude, torch.zeros_like(magnitude))
    weak, edges = thin >= low, thin >= high
    for _ in range(hysteresis_rounds):
        edges = weak & (F.max_pool2d(edges.to(image.dtype), 3, stride=1, padding=1) > 0)
    return edges


def _blur(image: Tensor) -> Tensor:
    taps = torch.arange(-RADIUS, RADIUS + 1, device=image.device, dtype=image.dtype)
    kernel = torch.exp(-taps.square() / (2 * SIGMA**2))
    kernel = (kernel / kernel.sum()).reshape(1, 1, 1, -1)
    rows = F.conv2d(F.pad(image, (RADIUS, RADIUS, 0, 0), mode="replicate"), kernel)
    return F.conv2d(F.pad(rows, (0, 0, RADIUS, RADIUS), mode="replicate"), kernel.transpose(2, 3))


def _sobel(image: Tensor) -> tuple[Tensor, Tensor]:
    p = F.pad(image, (1, 1, 1, 1), mode="replicate")
    columns = (p[..., :-2, :] + 2 * p[..., 1:-1, :] + p[..., 2:, :]) / 4
    rows = (p[..., :-2] + 2 * p[..., 1:-1] + p[..., 2:]) / 4
    return columns[..., 2:] - columns[..., :-2], rows[..., 2:, :] - rows[..., :-2, :]


def _is_ridge(magnitude: Tensor, g_x: Tensor, g_y: Tensor) -> Tensor:
    """Whether a pixel is a maximum along its gradient. Of two equal neighbours the right or lower one stays."""
    p = F.pad(magnitude, (1, 1, 1, 1))
    height, width = magnitude.shape[-2:]

    def ridge(dy: int, dx: int) -> Tensor:
        ahead = p[..., 1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width]
        behind = p[..., 1 - dy : 1 - dy + height, 1 - dx : 1 - dx + width]
        return (magnitude > ahead) & (magnitude >= behind)

    flat, steep = g_y.abs() <= TAN_22_5 * g_x.abs(), g_x.abs() <= TAN_22_5 * g_y.abs()
    falling = g_x * g_y > 0
    diagonal = torch.where(falling, ridge(1, 1), ridge(1, -1))
    return torch.where(flat, ridge(0, 1), torch.where(steep, ridge(1, 0), diagonal))
