"""Training the micro model from a recipe, stage after stage; a run that was killed is resumed."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from time import process_time
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from shirg_core.clock import Clock
from shirg_core.in_use import hold
from shirg_train.metrics import forget_after
from shirg_train.recipe import RecipeError, build, plain
from shirg_train.seeds import derive, draw, generator
from shirg_train.testbed.compressors.objective import compressed_objective
from shirg_train.testbed.micro.batches import draw_batch
from shirg_train.testbed.micro.config import MicroConfig, Precision, StageConfig
from shirg_train.testbed.micro.muon import build_optimizers, set_lr
from shirg_train.testbed.micro.objective import objective
from shirg_train.testbed.micro.run import Run, export, start_run
from shirg_train.testbed.micro.state import Progress, load_state, save_stage, save_state
from shirg_train.testbed.micro.visual import page_policy

Report: TypeAlias = Callable[[str, int, int, float], None]
LOG_FILE, CHECKPOINT = "training_log.jsonl", "checkpoint"


def train_micro(recipe: Mapping[str, Any], out: Path, *, report: Report | None = None) -> Path:
    """Train, or go on training, the micro model.

    Args:
        recipe: a `MicroConfig` as read from YAML, without the key `kind`.
        out: folder for state, log and checkpoint; created if need be.
        report: called after every step with the stage's name, the steps done and to do over all stages, and the loss.

    Returns:
        The checkpoint's folder, in bfloat16, with the tokenizer beside the weights.

    Raises:
        RecipeError: a recipe that cannot be followed, another one than the run in `out` was begun with, or a run that
            is going on there.
        FloatingPointError: the loss or its gradient is not finite; the last saved state is intact.
    """
    config = build(MicroConfig, dict(recipe))
    with hold(out, RecipeError.of_output):
        return _train(config, out, report)


def _train(config: MicroConfig, out: Path, report: Report | None) -> Path:
    run = start_run(config)
    progress, optimizer_states = load_state(out, run.parts, plain(config))
    forget_after(out / LOG_FILE, progress.total, key="total")
    with (out / LOG_FILE).open("a", encoding="utf-8") as log:
        while progress.stage < len(config.stages):
            stage = config.stages[progress.stage]
            optimizers = build_optimizers(
                run.model,
                run.heads,
                run.compressor,
                weight_decay=config.weight_decay,
                train_tower=stage.train_tower,
            )
            for optimizer, state in zip(optimizers, optimizer_states, strict=bool(optimizer_states)):
                optimizer.load_state_dict(state)
            optimizer_states = []
            for line in _run_stage(run, stage, progress, optimizers, out, report):
                log.write(json.dumps(line) + "\n")
                log.flush()
            save_stage(out, stage.name, run.parts)
            export(run.model, out / CHECKPOINT, run.compressor)
            progress = Progress(progress.stage + 1, 0, progress.total)
    return out / CHECKPOINT


def learning_rate(stage: StageConfig, step: int) -> float:
    """Linear from `lr` to `final_lr`, after a linear warm-up."""
    slope = stage.lr + (stage.final_lr - stage.lr) * step / stage.steps
    return slope * min(1.0, (step + 1) / stage.warmup) if stage.warmup else slope


def _run_stage(
    run: Run,
    stage: StageConfig,
    progress: Progress,
    optimizers: tuple[torch.optim.Optimizer, ...],
    out: Path,
    report: Report | None,
) -> Iterator[dict[str, Any]]:
    """Train to the end of the stage; yields lines of the log."""
    config = run.config
    learning = [p for part in run.parts.values() for p in part.parameters() if p.requires_grad]
    sums: dict[str, list[float]] = defaultdict(list)
    clock, cpu = Clock(), process_time()
    while progress.step < stage.steps:
        set_lr(optimizers, learning_rate(stage, progress.step))
        name, losses = _losses(run, stage, progress)
        _step(losses["loss"], learning, optimizers, config.clip, progress)
        for key, value in losses.items():
            sums[f"nll/{name}" if key == "nll" else key].append(value.item())
        if report is not None:
            report(stage.name, progress.total, sum(each.steps for each in config.stages), losses["loss"].item())
        last = progress.step == stage.steps
        if last or progress.total % config.log_every == 0:
            line = {
                "stage": stage.name,
                "step": progress.step,
                "total": progress.total,
                "seconds": round(clock.lap() / 1e3, 1),
                "cpu_seconds": round(process_time() - cpu, 1),
            }
            cpu = process_time()
            yield line | {key: round(sum(values) / len(values), 4) for key, values in sorted(sums.items())}
            sums.clear()
        if last or progress.total % config.save_every == 0:
            save_state(out, progress, run.parts, optimizers, plain(config))


def _losses(run: Run, stage: StageConfig, progress: Progress) -> tuple[str, dict[str, Tensor]]:
    """Name of the policy and losses of a step, which depend on the weights, the seed and the step only."""
    seed, total = run.config.seed, progress.total
    batch = draw_batch(run.config, stage, total, run.tokenizer)
    with torch.autocast("cpu", torch.bfloat16, enabled=in_bfloat16(run.config.precision)), _unfused_attention():
        if run.compressor is not None:
            assert run.config.compressor is not None, "it was built from it"
            budget = run.config.compressor.draw(seed, total)
            losses = compressed_objective(
                run.model,
                run.compressor,
                batch,
                stage,
                budget,
                done=progress.step / stage.steps,
                labels=run.labels,
                unknown=run.unknown,
                generator=generator(seed, "noise", total),
            )
            return run.config.compressor.name(budget), losses
        views = run.config.size.views
        policy = page_policy(draw(stage.policies, seed, "policy", total), derive(seed, "choice", total), views)
        return policy.name, objective(
            run.model,
            run.heads,
            batch,
            stage,
            policy,
            labels=run.labels,
            unknown=run.unknown,
            generator=generator(seed, "noise", total),
        )


def in_bfloat16(precision: Precision) -> bool:
    """Whether a run of this precision computes in bfloat16: `auto` does where the CPU has instructions for it."""
    fast = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return precision == "bfloat16" or (precision == "auto" and fast)


@contextmanager
def _unfused_attention() -> Iterator[None]:
    """On a CPU, small heads are faster unfused and in the precision of the rest, forward and backward together."""
    before = torch.backends.cuda.fp16_bf16_reduction_math_sdp_allowed()
    torch.backends.cuda.allow_fp16_bf16_reduction_math_sdp(True)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.cuda.allow_fp16_bf16_reduction_math_sdp(before)


def _step(
    loss: Tensor,
    learning: list[nn.Parameter],
    optimizers: tuple[torch.optim.Optimizer, ...],
    clip: float,
    progress: Progress,
) -> None:
    """One optimiser step.

    Raises:
        FloatingPointError: the loss or its gradient is not finite; weights are as they were.
    """
    if not bool(torch.isfinite(loss)):
        raise FloatingPointError(f"the loss is {float(loss)} at step {progress.total}; the last saved state is intact")
    loss.backward()
    norm = nn.utils.get_total_norm([p.grad for p in learning if p.grad is not None])
    if not bool(torch.isfinite(norm)):
        raise FloatingPointError(
            f"the gradient's norm is {float(norm)} at step {progress.total}; the last saved state is intact"
        )
    nn.utils.clip_grads_with_norm_(learning, clip, norm)
    for optimizer in optimizers:
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    progress.step += 1
    progress.total += 1
