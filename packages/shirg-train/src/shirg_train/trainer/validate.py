"""Validation of every policy, and what it decides: whether the adapter grows."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

from shirg_core.methods import get_method
from shirg_train.adapter.escalation import next_rank
from shirg_train.adapter.growth import grow_config
from shirg_train.checkpointing import Progress
from shirg_train.keep_ratio import PolicyConfig
from shirg_train.recipe import RecipeError
from shirg_train.trainer.context import ADVICE, Loop
from shirg_train.trainer.fit import Fit
from shirg_train.trainer.measure import measure, validation_policy

_log = logging.getLogger(__name__)


def _measure(loop: Loop, policy: PolicyConfig, step: int) -> float:
    recipe, ready = loop.recipe, validation_policy(policy, loop.recipe.seed)
    # One end-of-text after each answer is scored, too.
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


def first_validation(loop: Loop, progress: Progress) -> Progress:
    """Measure the baseline that escalation compares with, and every policy before the first step."""
    baseline = loop.recipe.validation.baseline or loop.recipe.keep[0]
    nll = _measure(loop, baseline, 0)
    loop.metrics.write("validation", 0, baseline=nll, policy=baseline.name)
    return validate(loop, replace(progress, baseline_nll=nll))


def validate(loop: Loop, progress: Progress) -> Progress:
    """Measure the NLL of every policy.

    Raises:
        RecipeError: no held-out sample fits a policy.
    """
    nll = {policy.name: _measure(loop, policy, progress.step) for policy in loop.recipe.keep}
    loop.metrics.write("validation", progress.step, nll=nll)
    return replace(progress, nll=nll)


def selected_nll(keep: Sequence[PolicyConfig], nll: Mapping[str, float]) -> float | None:
    """Mean over policies that keep tokens as they are: what merging lost, no rank gives back. None: there is none."""
    selecting = [nll[policy.name] for policy in keep if policy.selects and not get_method(policy.method).merges]
    return sum(selecting) / len(selecting) if selecting else None


def escalate(loop: Loop, progress: Progress) -> Progress:
    """Decide whether to grow; the adapter itself is rebuilt from the checkpoint that follows."""
    recipe, nll = loop.recipe, selected_nll(loop.recipe.keep, progress.nll)
    if progress.baseline_nll is None or nll is None or progress.step == loop.total_steps:
        return progress
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
