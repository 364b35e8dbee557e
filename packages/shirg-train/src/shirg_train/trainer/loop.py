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
from collections.abc import Iterator
from dataclasses import replace

import torch

from shirg_core.clock import Clock, stage
from shirg_train.checkpointing import Progress
from shirg_train.data.samples import TrainingSample
from shirg_train.keep_ratio import draw_policy
from shirg_train.loss import normaliser
from shirg_train.recipe import RecipeError
from shirg_train.trainer.context import ADVICE, Loop
from shirg_train.trainer.fit import Fit
from shirg_train.trainer.optimizer import lr_factor
from shirg_train.trainer.samples import step_batches
from shirg_train.trainer.save import save
from shirg_train.trainer.validate import escalate, first_validation, validate

_log = logging.getLogger(__name__)

PARTS = ("data", "tower", "select", "language", "backward", "optimizer")
"""Of a training step, as the log names them."""


def run_loop(loop: Loop, progress: Progress) -> Progress:
    """Train from `progress` to the end, or to the step at which the adapter grows (then `rank` has changed).

    Raises:
        CheckpointError: a checkpoint cannot be written.
        FloatingPointError: loss or gradient is not finite; the newest checkpoint is from before.
        RecipeError: no sample fits a policy's budget and the model's context, or the data ended.
    """
    recipe = loop.recipe
    if progress.step == 0 and recipe.validation.every and progress.baseline_nll is None:
        progress = first_validation(loop, progress)
    samples, begun = iter(loop.stream), progress.step
    while progress.step < loop.total_steps:
        _train_step(loop, progress.step, samples)
        progress = replace(progress, step=progress.step + 1)
        rank = progress.rank
        if recipe.validation.every and progress.step % recipe.validation.every == 0:
            progress = validate(loop, progress)
            progress = escalate(loop, progress)
        last = progress.step == loop.total_steps
        if last or progress.rank != rank or progress.step % recipe.checkpoint.every == 0:
            save(loop, progress, grown=progress.rank != rank)
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


def _train_step(loop: Loop, step: int, samples: Iterator[TrainingSample]) -> None:
    recipe, world, engine = loop.recipe, loop.world, loop.engine
    clock, parts = Clock(), Clock(world.device) if recipe.log.timings else None
    seed, loss = recipe.seed, recipe.loss
    # 1. The same policy on all ranks, the same masks whatever their number.
    policy = draw_policy(recipe.keep, seed, step)
    fit = Fit(loop.lavida, policy, recipe.positions)
    with stage(parts, "data"):
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
        with stage(parts, "forward"):
            nll = engine.forward(batch, policy, clock=parts)
        with stage(parts, "backward"):
            engine.backward(nll.total, denominator)
        total += nll.total.detach()
    mean = float(world.sum(total)) / denominator
    if not math.isfinite(mean):
        raise FloatingPointError(f"the loss is {mean} at step {step + 1}; the newest checkpoint is intact")
    factor = lr_factor(step, loop.total_steps, recipe.optim.warmup_steps)
    with stage(parts, "optimizer"):
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
        **({} if parts is None else {"timings_ms": _parts(parts)}),
    )


def _parts(clock: Clock) -> dict[str, float]:
    """Milliseconds of a step's parts; `language` is what the forward pass takes besides the tower and the selection."""
    known = {"tower": 0.0, "select": 0.0, **clock.timings_ms}
    known["language"] = known["forward"] - known["tower"] - known["select"]
    return {name: round(known[name], 3) for name in PARTS}


def _take(loop: Loop, step: int, samples: Iterator[TrainingSample], fit: Fit) -> list[TrainingSample]:
    """This rank's share of a step: the next samples that fit; the others are skipped, counted and logged.

    Raises:
        RecipeError: the data ended, or so many in a row do not fit that none will.
    """
    taken: list[TrainingSample] = []
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
