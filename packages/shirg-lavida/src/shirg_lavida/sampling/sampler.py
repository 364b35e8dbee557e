"""LaViDa's sampler: from a masked answer to text, the surest tokens first (arXiv 2502.09992, arXiv 2505.16839).

The answer is cut into blocks, decoded left to right. A block of m masked tokens takes n steps; each step predicts
every masked token at once and settles as many as the plan says (`schedule.py`), those the model is surest of
(`remasking.py`).

Defaults reproduce the released sampler, quirks included:

- steps per block: ⌊(steps // blocks) · step_ratio⌋. The released one ignores its own `steps` and takes the answer's
  length, as `steps=None` does here. Its default shift is 3, which its `predict.py` leaves as it is; its evaluation
  scripts pass 0.33. Here it is 1/3, the paper's.
- the mask may be predicted. Such a position stays masked and eligible, also in later blocks, where it competes with the
  block's own; a plan that is used up leaves it masked. `allow_mask_prediction=False` bans the mask.
- nothing stops at the end of text. `stop_at_eos=True` does.
- temperature adds float64 Gumbel noise. With `attention="prefix"` the random draws equal the released sampler's for the
  same generator state; with "full" only random remasking's do, since there noise is drawn for the whole prefix, too.

Where they part: a batch is planned row by row (the released code takes the first row's number of masks for all); a
step that would settle nothing is not run, nor are its random numbers drawn; and where a predicted mask outlives a
curve's plan, which crashes there, it is left.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from shirg_core.clock import Clock
from shirg_lavida.language.protocol import DiffusionBackbone
from shirg_lavida.prompt.context import answer_context
from shirg_lavida.prompt.prefix import PrefixLike
from shirg_lavida.pruning.protocol import Pruning
from shirg_lavida.sampling.denoiser import Denoiser, check_attention
from shirg_lavida.sampling.plan import block_size, check_ids, check_rule, plan_block, start_ids, steps_per_block
from shirg_lavida.sampling.step import Step, StepRule, ended, fill_after_end, settle


@dataclass(frozen=True)
class SampleResult:
    """An answer and what it cost.

    Attributes:
        ids: `[B, L]` int64.
        probabilities: `[B, L]` float32, the probability of each token at the step that settled it, before noise; 1 for
            tokens of a draft and behind the end of text, 0 for a mask that was left.
        nfe: denoising steps taken, one forward pass each; the prefill is not among them.
        prefill_ms: wall time of the prefill; 0 without cache.
        step_ms: wall time per step; on a GPU without `timings=True`, the time to launch it.
        kv_bytes: bytes of the prefix's keys and values that the last step read; 0 without cache.
        cached: a prefix cache was used.
        cache_rewritten: it was replaced after the first step. Never without `pruning`.
    """

    ids: Tensor
    probabilities: Tensor
    nfe: int
    prefill_ms: float
    step_ms: tuple[float, ...]
    kv_bytes: int
    cached: bool
    cache_rewritten: bool


def denoise_logits(
    backbone: DiffusionBackbone,
    prefix: PrefixLike,
    answer_ids: Tensor,
    *,
    attention: str = "prefix",
    cache: bool = True,
) -> Tensor:
    """Logits `[B, L, V]` of one step for `answer_ids [B, L]` after `prefix [B, P, d]`. Gradients need `cache=False`.

    Raises:
        ValueError: `attention="full"` with `cache=True`, a batch mismatch, ids outside the vocabulary, a prefix of
            another width or dtype than the model's, or an answer that does not fit the context.
    """
    check_attention(attention, cache=cache)
    if answer_ids.dim() != 2 or answer_ids.shape[0] != prefix.shape[0]:
        raise ValueError(f"answer_ids must be [{prefix.shape[0]}, L], got {list(answer_ids.shape)}")
    answer_ids = check_ids("answer_ids", answer_ids, backbone.vocab_size)
    context = answer_context(prefix, answer_ids.shape[1], backbone.max_sequence_length)
    denoiser = Denoiser.cached(backbone, context) if cache else Denoiser.uncached(backbone, context, attention)
    return backbone.logits(denoiser.hidden(answer_ids))


@torch.no_grad()
def sample(
    backbone: DiffusionBackbone,
    prefix: PrefixLike,
    *,
    mask_id: int,
    eos_id: int,
    answer_length: int,
    block_length: int | None = None,
    lookahead: bool = True,
    steps: int | None = None,
    step_ratio: float | None = None,
    schedule: str | None = None,
    shift: float = 1 / 3,
    remasking: str = "low_confidence",
    temperature: float = 0.0,
    attention: str = "prefix",
    cache: bool = True,
    stop_at_eos: bool = False,
    eos_penalty: float = 0.0,
    allow_mask_prediction: bool = True,
    draft_ids: Tensor | None = None,
    confidence_threshold: float | None = None,
    generator: torch.Generator | None = None,
    pruning: Pruning | None = None,
    on_step: Callable[[int, Tensor], None] | None = None,
    timings: bool = False,
    verify_cache: bool = False,
    wrap_step: Callable[[Step], Step] | None = None,
) -> SampleResult:
    """Sample an answer; the module says what the defaults reproduce.

    Args:
        backbone: the language model.
        prefix: `[B, P, d]`, a `Prefix` or a plain tensor.
        mask_id: the mask.
        eos_id: end of text, read only with `stop_at_eos` and `eos_penalty`.
        answer_length: L.
        block_length: tokens of a block; None = 128. The last block may be shorter.
        lookahead: a block sees the masks of later blocks, as released. False hides them: what a block says then does
            not depend on L, which a model that was trained on one length needs.
        steps: steps over all blocks, a multiple of their number; None = L.
        step_ratio: factor on a block's steps, floored; steps beyond a block's tokens are left out.
        schedule: None, "linear", "cosine", "shift" or "logit_normal".
        shift: parameter of "shift".
        remasking: "low_confidence", "entropy", "margin" or "random".
        temperature: 0 = the likeliest token.
        attention: "prefix" or "full".
        cache: keep the prefix's keys and values; "prefix" only.
        stop_at_eos: stop once every row has an end of text with nothing masked before it; what follows it becomes it.
        eos_penalty: ≥ 0, subtracted from the confidence (see `remasking.py`) of a predicted end of text, which is the
            surest token of a long block and would end the answer first. `math.inf` settles it last, as LLaDA's
            `confidence_eos_eot_inf` does.
        allow_mask_prediction: False bans the mask from predictions; confidences are then those without it.
        draft_ids: `[B or 1, ≤ L]` int64, how the answer begins; masks in it are filled, other tokens stay (infilling).
        confidence_threshold: each step also settles every token at least this probable (arXiv 2505.22618), never fewer
            than planned. Needs "low_confidence".
        generator: source of randomness; None = torch's global one.
        pruning: thins out the prefix inside the model.
        on_step: called with the number of the step, from 0, and the `[B, L]` ids after it.
        timings: synchronise the device around every step, so that times mean something on a GPU.
        verify_cache: hash the cache before and after every step. Slow, for checking.
        wrap_step: compiles or captures a block's step `(ids [B, L], quota [B]) → ids`. It then has static shapes and
            never synchronises the device; on a CPU logits are otherwise computed for masked tokens only.

    Raises:
        ValueError: an argument that cannot be followed, a prefix of another width or dtype than the model's, or an
            answer that does not fit the context.
        RuntimeError: `verify_cache` found the cache changed.
    """
    # 1. Arguments.
    check_attention(attention, cache=cache)
    if pruning is not None and (not cache or wrap_step is not None):
        raise ValueError("pruning thins out the prefix cache: it needs cache=True and no wrap_step")
    rule = StepRule(
        mask_id, remasking, temperature, allow_mask_prediction, confidence_threshold, generator, eos_id, eos_penalty
    )
    check_rule(rule)
    size = block_size(answer_length, block_length)
    block_steps = steps_per_block(answer_length, size, steps, step_ratio)
    context = answer_context(prefix, answer_length, backbone.max_sequence_length)
    shape = (prefix.shape[0], answer_length)
    ids = start_ids(shape, draft_ids, mask_id=mask_id, vocab_size=backbone.vocab_size, device=prefix.device)
    probabilities = (ids != mask_id).float()
    rewrite = None if pruning is None else pruning.rewrite
    clock = Clock(ids.device, synchronise=timings)
    # 2. The prefix, once.
    uncached = None if cache else Denoiser.uncached(backbone, context, attention)
    denoiser = uncached or Denoiser.cached(backbone, context, pruning)
    prefill_ms = clock.lap() if cache else 0.0
    # 3. Blocks, left to right.
    step_ms: list[float] = []
    for start in range(0, answer_length, size):
        if stop_at_eos and ended(ids, mask_id, eos_id):
            break
        stop = min(start + size, answer_length)
        n_steps = max(1, block_steps * (stop - start) // size)
        window, quotas = plan_block(ids, start, stop, mask_id, n_steps, schedule, shift)
        finish = partial(
            settle,
            backbone,
            window=window,
            rule=rule,
            compact=wrap_step is None and ids.device.type == "cpu",
            unseen=prefix.shape[1] if attention == "full" else 0,
            probabilities=probabilities,
        )
        seen = answer_length if lookahead else stop
        step = denoiser.stepper(finish, seen)
        step = step if wrap_step is None else wrap_step(step)
        for quota in quotas:
            digest = denoiser.digest() if verify_cache else None
            clock.lap()
            # 4. One step: predict, settle; a pruning method may replace the cache after the first.
            if rewrite is not None and not step_ms:
                hidden, paid = denoiser.observed(ids[:, :seen])
                ids = finish(hidden, ids, quota)
                left = ids[:, :seen] == mask_id
                denoiser = replace(denoiser, cache=rewrite(denoiser.require_cache(), paid, left))
                step = denoiser.stepper(finish, seen)
            else:
                ids = step(ids, quota)
                if digest != (denoiser.digest() if verify_cache else None):
                    raise RuntimeError(f"step {len(step_ms)} changed the prefix cache")
            step_ms.append(clock.lap())
            if on_step is not None:
                on_step(len(step_ms) - 1, ids)
            # 5. Early ends.
            if stop_at_eos and ended(ids, mask_id, eos_id):
                break
            if confidence_threshold is not None and not bool((ids[:, start:stop] == mask_id).any()):
                break
    # A mask that was predicted is still a mask; what the end of text fills was not sampled.
    probabilities = probabilities.masked_fill(ids == mask_id, 0.0)
    if stop_at_eos:
        ids, sampled = fill_after_end(ids, mask_id, eos_id), ids
        probabilities = probabilities.masked_fill(ids != sampled, 1.0)
    return SampleResult(
        ids=ids,
        probabilities=probabilities,
        nfe=len(step_ms),
        prefill_ms=prefill_ms,
        step_ms=tuple(step_ms),
        kv_bytes=denoiser.cache.bytes if denoiser.cache is not None else 0,
        cached=cache,
        cache_rewritten=rewrite is not None and bool(step_ms),
    )
