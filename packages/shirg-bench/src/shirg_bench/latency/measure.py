"""The proposals' table: every variant in turn, round after round, with and without the prefix cache.

Rounds are interleaved, so that a machine that gets busy slows all variants alike; lines hold medians over rounds, and
the ratio to the pooled variant is the median of the rounds' ratios. A killed run keeps the rounds it finished; another
run starts afresh, because rounds of another hour are not comparable.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import torch

from shirg_bench.latency.checks import check_parity
from shirg_bench.latency.lines import MEASURED, Line, rows
from shirg_bench.latency.plan import Plan
from shirg_bench.latency.quiet import quiet_profiler
from shirg_bench.latency.stages import answer, embed, stage_peaks
from shirg_bench.latency.subject import Subject
from shirg_bench.latency.variant import Variant
from shirg_bench.memory import peak_workspace_bytes
from shirg_core.progress import Report
from shirg_lavida.prompt.context import answer_context
from shirg_lavida.sampling.denoiser import Denoiser

KV_8B_TOKEN_BYTES = 32 * 2 * 4096 * 2
"""One prefix token in LLaDA-8B's cache: 32 layers, keys and values, 4096 channels of bfloat16 (512 KiB)."""
MIB = 2**20


def measure(
    subject: Subject, variants: Sequence[Variant], plan: Plan, report: Report = lambda _: None
) -> Iterator[list[dict[str, Any]]]:
    """Measure all variants; the table as it stands, after every round.

    Lines have `variant`, `cache`, `visual_tokens` and `prefix_tokens` (newlines and summary included), `kv_bytes`,
    `kv_8b_mib` (of LLaDA-8B with as many prefix tokens, computed), `select_ms`, `tower_ms`, `embed_ms`, `prefill_ms`,
    `step_ms`, `end_to_end_ms`, `ratio_to_pooled` (pooled with cache, same rounds), `peak_bytes` (workspace beyond the
    weights), `tower_peak_bytes`, `select_peak_bytes` and `prefill_peak_bytes` (of each stage beyond what it begins
    with), `steps_timed` and `parity`; what was not measured is None.

    Raises:
        CheckError: a variant's cached and uncached ways disagree.
        ValueError: a variant that the model or the page refuses, such as more tokens than there are.
    """
    # 1. Every variant once: counts, parity, and whatever is set up lazily.
    lines: list[Line] = []
    for variant in variants:
        report(f"{variant.name}: parity")
        lines += _checked(subject, variant, plan)
    # 2. Memory, before timing: the profiler is not there any more then.
    if plan.memory:
        for variant in variants:
            report(f"{variant.name}: memory")
            _add_peak_bytes(subject, [line for line in lines if line.variant == variant], plan)
    if not plan.latency:
        yield [line.facts for line in lines]
        return
    # 3. Rounds.
    for number in range(plan.rounds):
        for variant in variants:
            report(f"{variant.name}: round {number + 1} of {plan.rounds}")
            mine = [line for line in lines if line.variant == variant]
            prefix, embed_ms = embed(subject, mine[0].pipe)
            for line in mine:
                line.embed_ms.append(embed_ms)
                options = plan.options(line.cache)
                line.answers.append(answer(line.pipe.model, prefix, pruning=line.pipe.pruning, **options))
        yield rows(lines, number + 1)


def _checked(subject: Subject, variant: Variant, plan: Plan) -> list[Line]:
    pipe = variant.pipeline(subject.pipe, plan.seed)
    prefix, _ = embed(subject, pipe)
    parity = check_parity(pipe.model, prefix, plan.answer_tokens)
    facts: dict[str, Any] = {
        "variant": variant.name,
        "method": variant.method,
        "budget": variant.budget,
        "views": pipe.views,
        "visual_tokens": prefix.visual_tokens[0],
        "prefix_tokens": prefix.shape[1],
        "parity": parity.error,
        "answer_tokens": plan.answer_tokens,
        "nfe": plan.nfe,
        **dict.fromkeys(MEASURED),
        "rounds": 0,
    }
    kept = {"kv_bytes": parity.kv_bytes, "kv_8b_mib": prefix.shape[1] * KV_8B_TOKEN_BYTES / MIB}
    nothing = {"kv_bytes": 0, "kv_8b_mib": 0.0}
    rows = [{**facts, "cache": cache, **(kept if cache else nothing)} for cache in plan.caches]
    # What chooses again rewrites the cache: there is nothing to compare with without one.
    return [Line(variant, pipe, row) for row in rows if row["cache"] or pipe.pruning is None]


def _add_peak_bytes(subject: Subject, lines: Sequence[Line], plan: Plan) -> None:
    """Peaks of one variant's lines.

    A step allocates what every other step does, so one stands for all; where a method chooses again, two: it needs one
    before its choice and one after it.
    """
    pipe = lines[0].pipe
    prefix, _ = embed(subject, pipe)
    with quiet_profiler(), torch.no_grad():
        embedding = peak_workspace_bytes(lambda: embed(subject, pipe), subject.device)
        tower, select = stage_peaks(subject, pipe)
        context = answer_context(prefix, plan.answer_tokens, pipe.model.backbone.max_sequence_length)
        prefill = peak_workspace_bytes(
            lambda: Denoiser.cached(pipe.model.backbone, context, pipe.pruning), subject.device
        )
    prefix_bytes = prefix.embeddings.nbytes
    for line in lines:
        options = {**plan.options(line.cache), "steps": 1 if pipe.pruning is None else min(2, plan.nfe)}
        run = partial(answer, pipe.model, prefix, pruning=pipe.pruning, **options)
        with quiet_profiler():
            answering = peak_workspace_bytes(run, subject.device)
        line.facts["peak_bytes"] = max(embedding, prefix_bytes + answering)
        line.facts |= {"tower_peak_bytes": tower, "select_peak_bytes": select}
        line.facts["prefill_peak_bytes"] = prefill if line.cache else 0
