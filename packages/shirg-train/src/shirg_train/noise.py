"""The forward process: which answer tokens are masked at diffusion time t (arXiv 2502.09992, eq. 3; arXiv 2505.16839).

    t ~ U(0, 1),   p = (1 − ε) t + ε,   token i masked  ⇔  u_i ≤ max(p, min_j u_j),   u_i ~ U(0, 1)

The minimum runs over the row's answer tokens, so at least one *answer* token is always masked. (The released LaViDa
takes it over the whole sequence, prompt included, so that a short answer can stay unmasked and its sample teaches
nothing.)

B: batch, S: tokens. `answer [B, S]` bool marks the tokens that may be masked.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

EPSILON = 1e-3
"""ε: the smallest masking probability."""


@dataclass(frozen=True)
class Noise:
    """One draw of the forward process.

    Attributes:
        masked: `[B, S]` bool, the answer tokens to hide.
        probability: `[B]` float32, p of every row.
        answer: `[B, S]` bool, as given.
    """

    masked: Tensor
    probability: Tensor
    answer: Tensor

    @property
    def complement(self) -> Tensor:
        """`[B, S]` bool: the answer tokens that `masked` leaves visible. May be empty in a row where all are masked."""
        return self.answer & ~self.masked


def sample_times(batch: int, *, generator: torch.Generator | None = None, device: torch.device | None = None) -> Tensor:
    """`[B]` float32 diffusion times t ~ U(0, 1)."""
    return torch.rand(batch, generator=generator, device=device, dtype=torch.float32)


def mask_probability(times: Tensor, epsilon: float = EPSILON) -> Tensor:
    """P = (1 − ε) t + ε."""
    return (1 - epsilon) * times + epsilon


def forward_process(
    answer: Tensor,
    *,
    times: Tensor | None = None,
    epsilon: float = EPSILON,
    generator: torch.Generator | None = None,
) -> Noise:
    """Draw which answer tokens are masked.

    Args:
        answer: `[B, S]` bool, True = answer token that may be masked.
        times: `[B]` in [0, 1]; None draws them from U(0, 1).
        epsilon: ε, in [0, 1).
        generator: source of randomness; None = torch's global one.

    Raises:
        ValueError: a row without answer tokens, a wrong shape or dtype, or ε outside [0, 1).
    """
    if answer.dim() != 2 or answer.dtype != torch.bool:
        raise ValueError(f"answer must be a bool [B, S] tensor, got {answer.dtype} {list(answer.shape)}")
    if not 0 <= epsilon < 1:
        raise ValueError(f"epsilon must be in [0, 1), got {epsilon}")
    empty = (~answer.any(dim=1)).nonzero().flatten().tolist()
    if empty:
        raise ValueError(f"rows {empty} have no answer token to mask")
    if times is None:
        times = sample_times(answer.shape[0], generator=generator, device=answer.device)
    if times.shape != answer.shape[:1]:
        raise ValueError(f"times must be [{answer.shape[0]}], got {list(times.shape)}")
    probability = mask_probability(times, epsilon)
    draws = torch.rand(answer.shape, generator=generator, device=answer.device, dtype=torch.float32)
    draws = draws.masked_fill(~answer, torch.inf)
    cutoff = torch.maximum(probability, draws.amin(dim=1))[:, None]
    return Noise(draws <= cutoff, probability, answer)
