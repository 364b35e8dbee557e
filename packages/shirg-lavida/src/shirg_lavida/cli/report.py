"""JSON and terminal output of `shirg ask`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from shirg_core.adaptive_budget import AdaptiveBudget
from shirg_core.budget import Budget, kept_tokens
from shirg_core.cli.source import Source
from shirg_core.layout import ViewLayout
from shirg_core.methods import get_method
from shirg_core.versions import versions
from shirg_lavida.checkpoint.embedded import DEFAULT
from shirg_lavida.checkpoint.recommended import Recommended
from shirg_lavida.cli.request import Request
from shirg_lavida.pipeline import LavidaPipeline
from shirg_lavida.sampling.answer import Answer

SCHEMA = "shirg.ask/2"
"""Of the JSON summary, whose fields `docs/json.md` lists; /1 had no schema, seed, confidence, versions and digest."""
MIB = 2**20
UNTOLD = ("load", "tower", "select")
"""Stages of an answer that the command loads before, or that are part of another."""


@dataclass(frozen=True)
class Outcome:
    """A method's answer; `views` are those it saw the image in."""

    method: str
    views: str
    budget_asked: Budget | AdaptiveBudget
    answer: Answer

    @property
    def layout(self) -> ViewLayout:
        """Geometry of the tokens that were chosen from; `shirg ask` always has an image."""
        if self.answer.layout is None:
            raise ValueError("an answer without an image has no layout")
        return self.answer.layout

    @property
    def n_kept(self) -> int:
        """Tokens that stand for the image, newlines and summary not counted."""
        selection = self.answer.selection
        return self.layout.n_selectable if selection is None else selection.indices.shape[1]

    @property
    def budget(self) -> int:
        """K; what was kept, for a method that takes no budget, or where the model chose among several."""
        if isinstance(self.budget_asked, AdaptiveBudget) or not self._takes_budget:
            return self.n_kept
        return kept_tokens(self.budget_asked, self.layout)

    @property
    def _asked(self) -> Budget | str:
        return str(self.budget_asked) if isinstance(self.budget_asked, AdaptiveBudget) else self.budget_asked

    @property
    def _takes_budget(self) -> bool:
        return get_method(self.method).takes_budget

    def as_json(self) -> dict[str, Any]:
        """Everything, in JSON's types."""
        answer, layout, selection = self.answer, self.layout, self.answer.selection
        return {
            "answer": answer.text,
            "confidence": {"mean": round(answer.confidence.mean, 6), "min": round(answer.confidence.min, 6)},
            "method": self.method,
            "budget": self.budget,
            "budget_asked": self._asked if self._takes_budget else None,
            "views": self.views,
            "prefix_tokens": answer.prefix_tokens,
            "visual_tokens": answer.visual_tokens,
            "nfe": answer.nfe,
            "probed": [round(entropy, 6) for entropy in answer.probed],
            "extra_passes": answer.extra_passes,
            "extra_tokens": answer.extra_tokens,
            "kv_bytes": answer.kv_bytes,
            "n_tokens": layout.n_tokens,
            "n_selectable": layout.n_selectable,
            "n_kept": self.n_kept,
            "layout": [[view.h, view.w] for view in layout.views],
            "indices": None if selection is None else selection.indices[0].tolist(),
            "summary": selection is not None and selection.summary is not None,
            "answer_ids": answer.ids.tolist(),
            "step_ms": [round(ms, 3) for ms in answer.step_ms],
            "timings_ms": {stage: ms for stage, ms in answer.timings_ms.items() if stage not in UNTOLD},
        }


def request_json(
    request: Request, pipe: LavidaPipeline, source: Source, *, weights: str, seed: int | None, max_new_tokens: int
) -> dict[str, Any]:
    """Everything that decided the answer, in JSON's types: another run with it gives the same."""
    recommended = Recommended.from_checkpoint(pipe.model.config.raw)
    sampling = pipe.model.config.sampling | recommended.sampling | dict(request.sampling)
    return {
        "schema": SCHEMA,
        "image": str(request.image),
        "image_sha256": source.sha256,
        "page": request.page,
        "pages": source.pages,
        "question": request.question,
        "model": DEFAULT if request.model is None else request.model,
        "vision_tower": request.vision_tower,
        "adapter": None if request.adapter is None else str(request.adapter),
        "weights_digest": weights,
        "later": request.later,
        "positions": pipe.positions,
        "device": str(pipe.device),
        "dtype": str(pipe.model.image_newline.dtype).removeprefix("torch."),
        "seed": seed,
        "max_new_tokens": max_new_tokens,
        # JSON has no infinity.
        "sampling": {name: "inf" if value == math.inf else value for name, value in sampling.items()},
        "versions": versions(),
    }


def print_text(console: Console, outcome: Outcome) -> None:
    """The answer on a line of its own."""
    console.print(outcome.answer.text, markup=False, highlight=False, soft_wrap=True, style="bold")


def print_titled(console: Console, where: str, question: str, outcomes: Sequence[Outcome], outcome: Outcome) -> None:
    """One of several answers, behind its image and question; a table where methods are compared."""
    end = "\n" if len(outcomes) > 1 else " "
    console.print(f"{where}: {question}", markup=False, highlight=False, soft_wrap=True, end=end)
    if len(outcomes) > 1:
        print_comparison(console, outcomes)
    else:
        print_text(console, outcome)


def print_answer(console: Console, outcome: Outcome, timings_ms: Mapping[str, float], page: str | None = None) -> None:
    """The answer, then what it cost; `page` says which of several."""
    answer = outcome.answer
    print_text(console, outcome)
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    if page is not None:
        table.add_row("page", page)
    table.add_row("confidence", f"{answer.confidence.mean:.3f} mean, {answer.confidence.min:.3f} min")
    table.add_row("method", f"{outcome.method} on {outcome.views} views")
    table.add_row("kept", _kept(outcome))
    table.add_row("prefix", f"{answer.prefix_tokens} tokens, {answer.visual_tokens} of them for the image")
    table.add_row("cache", f"{answer.kv_bytes / MIB:.2f} MiB" if answer.kv_bytes else "none")
    table.add_row("steps", f"{answer.nfe} for {len(answer.ids)} tokens{_probes(answer)}")
    table.add_row("ms", ", ".join(f"{stage} {ms:.1f}" for stage, ms in timings_ms.items()))
    console.print(table)


def print_comparison(console: Console, outcomes: Sequence[Outcome]) -> None:
    """One line a method."""
    legend = "min p: least probability of the answer's tokens; cache in MiB; prefill, a step and total in ms"
    table = Table(box=None, padding=(0, 1, 0, 0), caption=legend, caption_justify="left")
    table.add_column("method", no_wrap=True)
    table.add_column("answer", overflow="fold", min_width=6)
    for heading in ("min p", "kept", "prefix", "cache", "steps", "prefill", "step", "total"):
        table.add_column(heading, justify="right", no_wrap=True)
    for outcome in outcomes:
        answer, ms = outcome.answer, outcome.answer.timings_ms
        costs = (
            f"{answer.confidence.min:.3f}",
            outcome.n_kept,
            answer.prefix_tokens,
            f"{answer.kv_bytes / MIB:.2f}",
            answer.nfe,
        )
        times = (f"{value:.1f}" for value in (ms["prefill"], median(answer.step_ms), ms["total"]))
        table.add_row(outcome.method, Text(answer.text), *map(str, costs), *times)
    console.print(table)


def _probes(answer: Answer) -> str:
    if not answer.probed:
        return ""
    entropies = ", ".join(f"{entropy:.3f}" for entropy in answer.probed)
    return f", {len(answer.probed)} of them to choose the budget (entropy {entropies} nats)"


def _kept(outcome: Outcome) -> str:
    if outcome.answer.selection is None:
        return f"{outcome.n_kept} tokens, none chosen"
    return f"{outcome.n_kept} of {outcome.layout.n_selectable} tokens"
