"""Which token each masked position would get, and how sure the model is: the rules that decide what a step settles.

With logits l ∈ ℝ^V, p = softmax(l), x the chosen token, and 1 and 2 the two largest entries:

    low_confidence  log p_x              margin  log(p_1 − p_2)
    entropy         Σ_v p_v log(p_v + 1e-10)     random  u ~ U(0, 1)

All are monotone in what the released samplers rank by (LLaDA's takes p in float64 over the whole vocabulary). Taking
the chosen or largest entry out of the sum first, r = Σ_{v≠x} exp(l_v − l_x), log p_x = −log(1 + r), keeps float32's
full relative precision where p → 1, so that confident positions rank as they do in float64 and do not collapse to
ties at 1.0.

Sampling at temperature T > 0 is LLaDA's Gumbel-max, argmax_v exp(l_v) / (−log u_v)^T, in its logarithm and in float64
as there (low precision biases it: arXiv 2409.02908); confidence then is that of the logits without noise. Or it is
Dream's categorical draw from softmax(l / T) without the tokens that `top_p` and `top_k` take out, and these are the
probabilities of its confidence, too, at T = 0 as well.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from shirg_lavida.sampling.options import REMASKING

ENTROPY_EPSILON = 1e-10


def predict(logits: Tensor, temperature: float = 0.0, uniform: Tensor | None = None) -> Tensor:
    """The token for every position, `[…, V]` → `[…]` int64.

    Args:
        logits: `[…, V]`.
        temperature: T ≥ 0; 0 takes the largest logit.
        uniform: `[…, V]` float64 draws u ~ U(0, 1), needed when T > 0.

    Raises:
        ValueError: T > 0 without draws.
    """
    if temperature == 0:
        return logits.argmax(dim=-1)
    if uniform is None:
        raise ValueError(f"temperature={temperature} needs uniform draws")
    return (logits.double() - temperature * (-uniform.log()).log()).argmax(dim=-1)


def filtered(logits: Tensor, temperature: float, top_p: float | None, top_k: int | None) -> Tensor:
    """The logits of a categorical draw, float32 `[…, V]`: divided by T > 0, and lowest where a token is taken out.

    Args:
        logits: `[…, V]`.
        temperature: T ≥ 0; at 0 they are left as they are.
        top_p: a token goes if the likelier ones hold more than this already; None or 1 = none goes.
        top_k: a token goes if k others are likelier; None = none goes.
    """
    logits = logits.float()
    if temperature > 0:
        logits = logits / temperature
    lowest = torch.finfo(logits.dtype).min
    if top_p is not None and top_p < 1:
        ranked, order = logits.sort(dim=-1, descending=True)
        before = F.pad(ranked.softmax(dim=-1).cumsum(dim=-1)[..., :-1], (1, 0))
        gone = torch.zeros_like(before, dtype=torch.bool).scatter(-1, order, before > top_p)
        logits = logits.masked_fill(gone, lowest)
    if top_k is not None:
        least = logits.topk(min(top_k, logits.shape[-1]), dim=-1).values[..., -1:]
        logits = logits.masked_fill(logits < least, lowest)
    return logits


def draw_categorical(logits: Tensor, generator: torch.Generator | None) -> Tensor:
    """A token for every position from softmax of `[…, V]`: `[…]` int64."""
    p = logits.softmax(dim=-1)
    p = p / p.sum(dim=-1, keepdim=True)
    drawn = torch.multinomial(p.flatten(end_dim=-2), 1, replacement=True, generator=generator)
    return drawn.view(p.shape[:-1])


def confidence(logits: Tensor, chosen: Tensor, remasking: str) -> Tensor:
    """How sure the model is of every position, float32 `[…]`, higher = settle first; "random" draws elsewhere.

    Args:
        logits: `[…, V]`.
        chosen: `[…]`, the tokens that would be settled.
        remasking: "low_confidence", "entropy" or "margin".

    Raises:
        ValueError: another rule.
    """
    logits = logits.float()
    if remasking == "low_confidence":
        return log_probability(logits, chosen)
    top = logits.argmax(dim=-1)
    if remasking == "entropy":
        return _negative_entropy(logits, top)
    if remasking == "margin":
        return _log_margin(logits, top)
    raise ValueError(f"remasking must be one of {REMASKING}, got {remasking!r}")


def log_probability(logits: Tensor, chosen: Tensor) -> Tensor:
    """Log-probability of the chosen token, `[…, V]`, `[…]` → `[…]`; precise near 0."""
    own, rest = _split(logits, chosen)
    return -F.softplus(rest.logsumexp(dim=-1) - own)


def _negative_entropy(logits: Tensor, top: Tensor) -> Tensor:
    own, rest = _split(logits, top)
    log_p = -F.softplus(rest.logsumexp(dim=-1) - own)
    p = (rest - (own - log_p).unsqueeze(-1)).exp()
    others = (p * (p + ENTROPY_EPSILON).log()).sum(dim=-1)
    return others + log_p.exp() * (log_p + torch.log1p(ENTROPY_EPSILON * (-log_p).exp()))


def _log_margin(logits: Tensor, top: Tensor) -> Tensor:
    own, rest = _split(logits, top)
    log_p = -F.softplus(rest.logsumexp(dim=-1) - own)
    gap = own - rest.amax(dim=-1)
    # log(1 − e^−gap), by whichever form keeps its digits.
    log_share = torch.where(gap < 0.5, (-torch.expm1(-gap)).log(), torch.log1p(-(-gap).exp()))
    return log_p + log_share


def _split(logits: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
    """The indexed logit `[…]`, and all logits with that one at −∞ `[…, V]`."""
    at = index.unsqueeze(-1)
    return logits.gather(-1, at).squeeze(-1), logits.scatter(-1, at, float("-inf"))
