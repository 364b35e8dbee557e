"""LaViDa's samplers: from a masked answer to text, the surest tokens first (arXiv 2502.09992, arXiv 2505.16839).

The answer is cut into blocks, decoded left to right. A block of m masked tokens takes n steps; each step predicts
every masked token at once and settles as many as the plan says (`schedule.py`), those the model is surest of
(`remasking.py`).

Defaults reproduce LaViDa-LLaDA's released sampler, quirks included:

- steps per block: ⌊(steps // blocks) · step_ratio⌋. The released one ignores its own `steps` and takes the answer's
  length, as `steps=None` does here. Its default shift is 3, which its `predict.py` leaves as it is; its evaluation
  scripts pass 0.33. Here it is 1/3, the paper's.
- the mask may be predicted. Such a position stays masked and eligible, also in later blocks, where it competes with the
  block's own; a plan that is used up leaves it masked. `allow_mask_prediction=False` bans the mask.
- nothing stops at the end of text. `stop_at_eos=True` does.
- temperature adds float64 Gumbel noise. With `attention="prefix"` the random draws equal the released sampler's for the
  same generator state; with "full" only random remasking's do, since there noise is drawn for the whole prefix, too.

The options in `shirg_lavida.families.dream` reproduce LaViDa-Dream's: one block, Dream's `timesteps`, tokens drawn from
tempered probabilities. Under attention "prefix" it settles the answer's first token before the first step, the
likeliest one after the prefix whatever the temperature; this one does so for every model that is `shifted`.

Where they part: a batch is planned row by row (the released code takes the first row's number of masks for all); a
step that would settle nothing is not run, nor are its random numbers drawn; where a predicted mask outlives a curve's
plan, which crashes there, it is left; and a first token that is settled by the prefix alone is never the mask.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Unpack

import torch
from torch import Tensor

from shirg_core.clock import Clock, stage
from shirg_lavida.language.protocol import DiffusionBackbone
from shirg_lavida.prompt.context import answer_context
from shirg_lavida.prompt.prefix import Prefix, PrefixLike
from shirg_lavida.pruning.protocol import Rewritten
from shirg_lavida.sampling.answer import Answer
from shirg_lavida.sampling.answer_ids import ended, fill_after_end, start_ids
from shirg_lavida.sampling.denoiser import Denoiser
from shirg_lavida.sampling.later import extra_tokens, final_selections, watch
from shirg_lavida.sampling.options import SamplingKeywords, SamplingOptions
from shirg_lavida.sampling.schedule import block_size, plan_block, steps_per_block
from shirg_lavida.sampling.step import settle


@torch.no_grad()
def sample(
    backbone: DiffusionBackbone,
    prefix: PrefixLike,
    *,
    mask_id: int,
    eos_id: int,
    answer_length: int,
    clock: Clock | None = None,
    **options: Unpack[SamplingKeywords],
) -> list[Answer]:
    """Sample an answer to each row; the module says what the defaults reproduce.

    Args:
        backbone: the language model.
        prefix: `[B, P, d]`, a `Prefix` or a plain tensor.
        mask_id: the mask.
        eos_id: end of text; the sampler reads it only with `stop_at_eos` and `eos_penalty`.
        answer_length: L.
        clock: times the prefill and every step, waiting for the device as it was made to; None = nothing is timed, and
            the device is waited for only where a step's plan or an early end is read.
        options: of `SamplingOptions`.

    Raises:
        ValueError: an argument that cannot be followed, a prefix of another width or dtype than the model's, or an
            answer that does not fit the context.
        TypeError: a name that is no option.
        RuntimeError: `verify_cache` found the cache changed.
    """
    # 1. Arguments.
    how = SamplingOptions(**options)
    prefix = Prefix(prefix) if isinstance(prefix, Tensor) else prefix
    size = block_size(answer_length, how.block_length)
    block_steps = steps_per_block(answer_length, size, how.steps, how.step_ratio)
    all_steps = steps_per_block(answer_length, size, how.steps, None)
    context = answer_context(prefix, answer_length, backbone.max_sequence_length)
    shape = (prefix.shape[0], answer_length)
    ids = start_ids(shape, how.draft_ids, mask_id=mask_id, vocab_size=backbone.vocab_size, device=prefix.device)
    probabilities = (ids != mask_id).float()
    lengths = [min(size, answer_length - start) for start in range(0, answer_length, size)]
    planned = sum(max(1, block_steps * length // size) for length in lengths)
    later = None if how.pruning is None else watch(how.pruning, backbone.n_layers, planned)
    # 2. The prefix, once.
    if how.cache:
        with stage(clock, "prefill"):
            denoiser = Denoiser.cached(backbone, context, how.pruning)
    else:
        denoiser = Denoiser.uncached(backbone, context, how.attention)
    if backbone.shifted and how.attention == "prefix":
        masked = ids[:, 0] == mask_id
        ids, probability = denoiser.settle_first(ids, mask_id)
        probabilities[:, 0] = torch.where(masked, probability, 1.0)
    # 3. Blocks, left to right.
    nfe, begin = 0, 0.0
    step_ms: list[float] = []
    rewritten: Rewritten | None = None
    for start in range(0, answer_length, size):
        if how.stop_at_eos and ended(ids, mask_id, eos_id):
            break
        stop = min(start + size, answer_length)
        n_steps = max(1, block_steps * (stop - start) // size)
        n_all = max(n_steps, all_steps * (stop - start) // size)
        plan = plan_block(ids, start, stop, mask_id, n_steps, how.schedule, how.shift, n_all)
        finish = partial(
            settle,
            backbone,
            window=plan.window,
            options=how,
            mask_id=mask_id,
            eos_id=eos_id,
            compact=how.wrap_step is None and ids.device.type == "cpu",
            unseen=prefix.shape[1] if how.attention == "full" else 0,
            probabilities=probabilities,
        )
        seen = answer_length if how.lookahead else stop
        step = denoiser.stepper(finish, seen)
        step = step if how.wrap_step is None else how.wrap_step(step)
        for number in range(len(plan.quotas)):
            quota = plan.quota(number, ids, mask_id)
            if how.schedule == "timesteps" and not bool(quota.any()):
                continue
            digest = denoiser.digest() if how.verify_cache else None
            if clock is not None:
                begin = clock.now()
            # 4. One step: predict, settle; a pruning method may replace the cache once, after those that it watches.
            if later is not None and nfe in later.steps:
                hidden, paid = denoiser.observed(ids[:, :seen], later.layers)
                ids = finish(hidden, ids, quota)
                later.seen.append((paid, ids[:, :seen] == mask_id))
                if nfe == later.steps[-1]:
                    with stage(clock, "rewrite"):
                        rewritten = later.rewritten(denoiser)
                    denoiser = replace(denoiser, cache=rewritten.cache)
                    step = denoiser.stepper(finish, seen)
            else:
                ids = step(ids, quota)
                if digest != (denoiser.digest() if how.verify_cache else None):
                    raise RuntimeError(f"step {nfe} changed the prefix cache")
            if clock is not None:
                step_ms.append(clock.now() - begin)
            nfe += 1
            if how.on_step is not None:
                how.on_step(nfe - 1, ids)
            # 5. Early ends.
            if how.stop_at_eos and ended(ids, mask_id, eos_id):
                break
            if how.confidence_threshold is not None and not bool((ids[:, start:stop] == mask_id).any()):
                break
    # A mask that was predicted is still a mask; what the end of text fills was not sampled.
    probabilities = probabilities.masked_fill(ids == mask_id, 0.0)
    if how.stop_at_eos:
        ids, sampled = fill_after_end(ids, mask_id, eos_id), ids
        probabilities = probabilities.masked_fill(ids != sampled, 1.0)
    # 6. One answer a row.
    timings_ms = {}
    if clock is not None:
        timings_ms = {"prefill": clock.timings_ms.get("prefill", 0.0), "steps": round(sum(step_ms), 3)}
        timings_ms |= {} if rewritten is None else {"rewrite": clock.timings_ms["rewrite"]}
    selections = prefix.selections if rewritten is None else final_selections(prefix, rewritten)
    extra = extra_tokens(prefix, rewritten)
    return [
        Answer(
            ids=ids[b],
            probabilities=probabilities[b],
            stops=frozenset({eos_id}),
            nfe=nfe,
            prefix_tokens=entries,
            visual_tokens=prefix.visual_tokens[b] if prefix.visual_tokens else 0,
            kv_bytes=0 if denoiser.cache is None else denoiser.cache.bytes // len(ids),
            extra_passes=int(any(extra)),
            extra_tokens=extra[b],
            timings_ms=timings_ms,
            step_ms=tuple(step_ms),
            selections=tuple(selections[i] for i, row in enumerate(prefix.owners) if row == b),
            layouts=tuple(prefix.layouts[i] for i, row in enumerate(prefix.owners) if row == b),
        )
        for b, entries in enumerate(prefix.lengths)
    ]
