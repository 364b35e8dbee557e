"""The loop: draw, mask, predict, step; validate, grow, save.

    for each step:  policy and masks from (seed, step)  →  loss summed over micro-batches and ranks  →  AdamW
    every so often: validation NLL per policy  →  escalation  →  checkpoint

Everything random comes from (seed, step, row), the learning rate from the step. So parameters, moments, the stream's
place and the step are all there is to a run's state, and a resumed run is the uninterrupted one bit for bit.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from shirg_core.clock import Clock
from shirg_lavida.config import LavidaConfig
from shirg_train.adapter.escalation import next_rank
from shirg_train.adapter.growth import grow_config, grow_moments, grow_parameters
from shirg_train.checkpointing import Checkpoint, Progress, save_checkpoint
from shirg_train.keep_ratio import PolicyConfig, draw_policy
from shirg_train.loss import normaliser
from shirg_train.metrics import Metrics
from shirg_train.recipe import RecipeError, plain
from shirg_train.seeds import generator
from shirg_train.trainer.config import AdapterRecipe
from shirg_train.trainer.distributed import World
from shirg_train.trainer.engine import Engine
from shirg_train.trainer.fit import Fit
from shirg_train.trainer.measure import measure, validation_policy
from shirg_train.trainer.optimizer import lr_factor
from shirg_train.trainer.samples import Sample, SampleStream, step_batches

_log = logging.getLogger(__name__)
ADVICE = (
    "In a new run lower the budget in keep, set cap_budget: true there, or lower data.max_tokens; its init takes over "
    "what was learnt"
)


@dataclass(frozen=True)
class Loop:
    """Everything a loop works with.

    Attributes:
        recipe: as read.
        total_steps: S.
        world: the ranks.
        engine: gradients and steps.
        stream: this rank's training samples.
        held_out: all validation samples, the same on every rank.
        lavida: the model's configuration.
        metrics: where numbers go.
        patience: samples in a row that may not fit.
        write_adapter: `(folder, full parameters, card)`, writes the adapter.
    """

    recipe: AdapterRecipe
    total_steps: int
    world: World
    engine: Engine
    stream: SampleStream
    held_out: Sequence[Sample]
    lavida: LavidaConfig
    metrics: Metrics
    patience: int
    write_adapter: Callable[[Path, dict[str, torch.Tensor], dict[str, Any]], None]


def run_loop(loop: Loop, progress: Progress) -> Progress:
    """Train from `progress` to the end, or to the step at which the adapter grows (then `rank` has changed).

    Raises:
        CheckpointError: a checkpoint cannot be written.
        FloatingPointError: loss or gradient is not finite; the newest checkpoint is from before.
        RecipeError: no sample fits a policy's budget and the model's context, or the data ended.
    """
    recipe = loop.recipe
    if progress.step == 0 and recipe.validation.every and progress.baseline_nll is None:
        progress = _first_validation(loop, progress)
    samples, begun = iter(loop.stream), progress.step
    while progress.step < loop.total_steps:
        _train_step(loop, progress.step, samples)
        progress = replace(progress, step=progress.step + 1)
        rank = progress.rank
        if recipe.validation.every and progress.step % recipe.validation.every == 0:
            progress = _validate(loop, progress)
            progress = _escalate(loop, progress)
        last = progress.step == loop.total_steps
        if last or progress.rank != rank or progress.step % recipe.checkpoint.every == 0:
            _save(loop, progress, grown=progress.rank != rank)
        if progress.rank != rank:
            return progress
    if progress.step > begun:
        _report_skipped(loop, progress.step)
    return progress


def _report_skipped(loop: Loop, step: int) -> None:
    """Say how many samples the run has skipped, by reason."""
    total: Counter[str] = sum(map(Counter, loop.world.gather(dict(loop.stream.skipped))), start=Counter())
    if total and loop.world.is_main:
        loop.metrics.write("event", step, event="skipped", samples=dict(total.most_common()))
        named = ", ".join(f"{count} {reason}" for reason, count in total.most_common())
        _log.warning("%d samples were skipped: %s", total.total(), named)


def _train_step(loop: Loop, step: int, samples: Iterator[Sample]) -> None:
    clock = Clock()
    recipe, world, engine = loop.recipe, loop.world, loop.engine
    seed, loss = recipe.seed, recipe.loss
    # 1. The same policy on all ranks, the same masks whatever their number.
    policy = draw_policy(recipe.keep, seed, step)
    fit = Fit(loop.lavida, policy, recipe.positions)
    batches = step_batches(
        _take(loop, step, samples, fit),
        recipe.batch.micro,
        room=fit.room,
        loss=loss,
        eos_id=loop.lavida.eos_token_id,
        seed=seed,
        step=step,
        world=world,
    )
    # 2. One denominator for the whole step.
    count = sum((normaliser(b.noise, complement=loss.complement, weighting=loss.weighting) for b in batches), start=0.0)
    denominator = float(world.sum(torch.as_tensor(count, dtype=torch.float32)))
    # 3. Gradients add up to those of the step's loss.
    total = torch.zeros((), dtype=torch.float32, device=world.device)
    for batch in batches:
        nll = engine.forward(batch, policy)
        engine.backward(nll.total, denominator)
        total += nll.total.detach()
    mean = float(world.sum(total)) / denominator
    if not math.isfinite(mean):
        raise FloatingPointError(f"the loss is {mean} at step {step + 1}; the newest checkpoint is intact")
    factor = lr_factor(step, loop.total_steps, recipe.optim.warmup_steps)
    norm = engine.step(factor)
    tokens = recipe.batch.size * batches[0].answer_ids.shape[1]
    loop.metrics.write(
        "step",
        step + 1,
        loss=mean,
        policy=policy.name,
        lr=recipe.optim.lr * factor,
        grad_norm=norm,
        tokens_per_s=round(1e3 * tokens / clock.lap(), 1),
    )


def _take(loop: Loop, step: int, samples: Iterator[Sample], fit: Fit) -> list[Sample]:
    """This rank's share of a step: the next samples that fit; the others are skipped, counted and logged.

    Raises:
        RecipeError: the data ended, or so many in a row do not fit that none will.
    """
    taken: list[Sample] = []
    share, in_a_row = loop.recipe.batch.size // loop.world.size, 0
    while len(taken) < share:
        sample = next(samples, None)
        if sample is None:
            raise RecipeError(f"the data ended at step {step} of {loop.total_steps}")
        reason = fit.refuse(sample)
        if reason is None:
            taken.append(sample)
            in_a_row = 0
            continue
        in_a_row += 1
        loop.stream.skipped[f"{reason.partition(':')[0]} ({fit.policy.name})"] += 1
        _log.warning("step %d, policy %s: skipped a sample that does not fit: %s", step + 1, fit.policy.name, reason)
        if in_a_row == loop.patience:
            raise RecipeError(
                f"step {step + 1}, policy {fit.policy.name}: {in_a_row} samples in a row do not fit; the last one: "
                f"{reason}. {ADVICE}"
            )
    return taken


def _measure(loop: Loop, policy: PolicyConfig, step: int) -> float:
    recipe, ready = loop.recipe, validation_policy(policy, loop.recipe.seed)
    # One end-of-text behind each answer is scored, too.
    fit = Fit(loop.lavida, ready, recipe.positions, spare=1)
    reasons = [(sample, fit.refuse(sample)) for sample in loop.held_out]
    usable, refused = [s for s, r in reasons if r is None], [r for _, r in reasons if r is not None]
    where = f"validation at step {step}, policy {policy.name}"
    if not usable:
        raise RecipeError(f"{where}: no held-out sample fits; the last one: {refused[-1]}. {ADVICE}")
    if refused and loop.world.is_main:
        left_out = len(refused), len(loop.held_out)
        _log.warning("%s: %d of %d samples do not fit; the last one: %s", where, *left_out, refused[-1])
    eos_id = loop.lavida.eos_token_id
    return measure(loop.engine, usable, ready, recipe=recipe, eos_id=eos_id, world=loop.world)


def _first_validation(loop: Loop, progress: Progress) -> Progress:
    baseline = loop.recipe.validation.baseline or loop.recipe.keep[0]
    nll = _measure(loop, baseline, 0)
    loop.metrics.write("validation", 0, baseline=nll, policy=baseline.name)
    return _validate(loop, replace(progress, baseline_nll=nll))


def _validate(loop: Loop, progress: Progress) -> Progress:
    nll = {policy.name: _measure(loop, policy, progress.step) for policy in loop.recipe.keep}
    loop.metrics.write("validation", progress.step, nll=nll)
    return replace(progress, nll=nll)


def _escalate(loop: Loop, progress: Progress) -> Progress:
    """Decide whether to grow; the adapter itself is rebuilt from the checkpoint that follows."""
    recipe = loop.recipe
    selecting = [progress.nll[policy.name] for policy in recipe.keep if policy.selects]
    if progress.baseline_nll is None or not selecting or progress.step == loop.total_steps:
        return progress
    nll = sum(selecting) / len(selecting)
    wanted = next_rank(
        recipe.escalation,
        rank=progress.rank,
        step=progress.step,
        total_steps=loop.total_steps,
        nll=nll,
        baseline_nll=progress.baseline_nll,
    )
    if wanted is None:
        return progress
    loop.metrics.write(
        "event",
        progress.step,
        event="rank_escalation",
        old_rank=progress.rank,
        new_rank=wanted,
        nll=nll,
        baseline_nll=progress.baseline_nll,
    )
    grown = grow_config(replace(recipe.adapter, r=progress.rank, alpha=progress.alpha), wanted)
    return replace(progress, rank=grown.r, alpha=grown.alpha)


def _save(loop: Loop, progress: Progress, *, grown: bool) -> None:
    recipe, world = loop.recipe, loop.world
    own, moments = loop.engine.parameters(), loop.engine.moments()
    parameters = own
    if grown:
        parameters = grow_parameters(own, progress.rank, generator(recipe.seed, "growth", progress.rank))
        moments = grow_moments(moments, parameters)
    places = tuple(world.gather(dict(loop.stream.state_dict())))
    progress = replace(progress, data=places, recipe=plain(recipe))
    failure: Exception | None = None
    if world.is_main:
        card = {"step": progress.step, "nll": dict(progress.nll), "baseline_nll": progress.baseline_nll}
        try:
            save_checkpoint(
                recipe.output / "checkpoints",
                Checkpoint(progress, parameters, moments),
                keep=recipe.checkpoint.keep,
                write_adapter=lambda folder: loop.write_adapter(folder, own, card),
            )
        except Exception as error:  # noqa: BLE001 (raised again below, once the other ranks know)
            failure = error
    failures = [f for f in world.gather(None if failure is None else str(failure)) if f is not None]
    if failure is not None:
        raise failure
    if failures:
        raise RuntimeError(f"rank 0 could not write the checkpoint: {failures[0]}")
