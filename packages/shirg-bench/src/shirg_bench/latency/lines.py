"""The table's lines while they are measured."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shirg_bench.latency.variant import POOLING, Variant
from shirg_lavida.pipeline import LavidaPipeline
from shirg_lavida.sampling.answer import Answer

TIMED = (
    "select_ms",
    "tower_ms",
    "embed_ms",
    "prefill_ms",
    "step_ms",
    "end_to_end_ms",
    "ratio_to_pooled",
    "steps_timed",
)
"""Columns that rounds give."""
MEASURED = (*TIMED, "peak_bytes", "tower_peak_bytes", "select_peak_bytes", "prefill_peak_bytes")
"""Columns that are None where they were not asked for."""


@dataclass
class Line:
    """One variant, with or without cache, while it is measured.

    Attributes:
        variant: which.
        pipe: the model choosing that way.
        facts: the line so far, what does not depend on rounds.
        embed_ms: by stage, one mapping a round.
        answers: one a round.
    """

    variant: Variant
    pipe: LavidaPipeline
    facts: dict[str, Any]
    embed_ms: list[Mapping[str, float]] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)

    @property
    def cache(self) -> bool:
        """Whether it has one."""
        return bool(self.facts["cache"])

    @property
    def total_ms(self) -> list[float]:
        """End to end, by round; without cache, as many times the median step as a whole answer takes."""
        nfe = self.facts["nfe"]
        return [
            one["embed"] + (two.timings_ms["answer"] if self.cache else nfe * statistics.median(two.step_ms))
            for one, two in zip(self.embed_ms, self.answers, strict=True)
        ]


def rows(lines: Sequence[Line], rounds: int) -> list[dict[str, Any]]:
    """The table after so many rounds: medians over rounds, and of the rounds' ratios."""
    pooled = next((line.total_ms for line in lines if line.variant.name == POOLING and line.cache), None)
    table = []
    for line in lines:
        row = dict(line.facts)
        for stage in ("select", "tower", "embed"):
            row[f"{stage}_ms"] = statistics.median(ms[stage] for ms in line.embed_ms)
        row["prefill_ms"] = statistics.median(each.timings_ms["prefill"] for each in line.answers)
        row["step_ms"] = statistics.median(ms for each in line.answers for ms in each.step_ms)
        row["end_to_end_ms"] = statistics.median(line.total_ms)
        row["steps_timed"] = len(line.answers[0].step_ms)
        if line.pipe.pruning is not None:
            row |= _chosen_later(line)
        if pooled is not None:
            row["ratio_to_pooled"] = statistics.median(a / b for a, b in zip(line.total_ms, pooled, strict=True))
        table.append({**row, "rounds": rounds})
    return table


def _chosen_later(line: Line) -> dict[str, Any]:
    """What differs of a line whose cache is rewritten: what is left in it, what came in, and what that took."""
    answer = line.answers[0]
    left = answer.kv_bytes / line.facts["kv_bytes"]
    return {
        "kv_bytes": answer.kv_bytes,
        "kv_8b_mib": line.facts["kv_8b_mib"] * left,
        "extra_tokens": answer.extra_tokens,
        "rewrite_ms": statistics.median(each.timings_ms.get("rewrite", 0.0) for each in line.answers),
    }
