"""Correctness before timing: the cache changes nothing in the answer, and a step changes nothing in the cache."""

from __future__ import annotations

from typing import NamedTuple

import torch

from shirg_lavida.model import LavidaModel
from shirg_lavida.prompt.context import answer_context
from shirg_lavida.prompt.prefix import PrefixLike
from shirg_lavida.sampling.denoiser import Denoiser

TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 5e-2, torch.float16: 1e-2}
"""Of a step's largest logit: what rounding may change between the cached and the uncached way."""


class CheckError(RuntimeError):
    """What is to be timed does not compute what it should, so that its time means nothing."""


class Parity(NamedTuple):
    """What a check found.

    Attributes:
        error: largest difference of two logits / largest logit.
        kv_bytes: bytes of the prefix's keys and values.
    """

    error: float
    kv_bytes: int


@torch.no_grad()
def check_parity(model: LavidaModel, prefix: PrefixLike, answer_tokens: int) -> Parity:
    """Compare a half-filled answer's logits with and without cache, and hash the cache around the step.

    The prefix is `[1, P, d]`.

    Raises:
        CheckError: the logits differ by more than `TOLERANCE`, or the step changed the cache.
        ValueError: a prefix and an answer that do not fit the model.
    """
    backbone = model.backbone
    ids = torch.full((1, answer_tokens), model.config.mask_token_id, device=prefix.device)
    ids[0, ::2] = model.config.eos_token_id
    context = answer_context(prefix, answer_tokens, backbone.max_sequence_length)
    cached, uncached = Denoiser.cached(backbone, context), Denoiser.uncached(backbone, context, "prefix")
    before = cached.digest()
    ours, plain = (backbone.logits(way.hidden(ids)).float() for way in (cached, uncached))
    if cached.digest() != before:
        raise CheckError("a denoising step changed the prefix cache")
    error, allowed = float((ours - plain).abs().max() / plain.abs().max()), TOLERANCE[prefix.dtype]
    if not error <= allowed:
        raise CheckError(f"cached and uncached logits differ by {error:.1e} of the largest, allowed is {allowed:.0e}")
    return Parity(error, cached.require_cache().bytes)
