"""`shirg bench` as numbered stages: request, model, measurements, report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from rich.console import Console

from shirg_bench.latency.checks import CheckError
from shirg_bench.latency.measure import measure
from shirg_bench.latency.plan import Plan
from shirg_bench.latency.quiet import one_thread
from shirg_bench.latency.request import AUTOREGRESSIVE, CACHES, LATENCY, MEMORY, SELECTION, Request
from shirg_bench.latency.results import origin, replace_results, rounded
from shirg_bench.latency.selections import CELLS, selections
from shirg_bench.latency.subject import Subject, load_subject
from shirg_bench.latency.variant import POOLING, variants
from shirg_bench.latency.versus import versus
from shirg_bench.results.costs import EVERY_VARIANT, autoregressive_tables, latency_tables, selection_tables
from shirg_bench.results.rows import Row, with_schema
from shirg_bench.results.table import Table, print_table
from shirg_core.cli.errors import RunFailed, bad_input
from shirg_core.progress import Report, progress_bar
from shirg_lavida.checkpoint.recommended import Recommended
from shirg_lavida.cli.models import parse_device


@dataclass(frozen=True)
class Section:
    """One measurement.

    Attributes:
        kind: of its lines in the results.
        model: its name and dtype, for every line; empty if no model is measured.
        show: makes tables of its lines.
        visits: number of progress reports.
        tables: runs it; the lines as they stand, again and again.
        names: how many columns of a table say which line it is.
    """

    kind: str
    model: Mapping[str, str]
    show: Callable[[Sequence[Row]], list[Table]]
    visits: int
    tables: Callable[[Report], Iterator[list[dict[str, Any]]]]
    names: int = 2


def run(request: Request, *, quiet: bool = False) -> None:
    """Measure, print tables, write lines; draw no progress bar if `quiet`.

    Raises:
        BadInput: whatever of the request cannot be used.
        RunFailed: what was to be timed does not compute what it should.
    """
    # 1. Refuse what can be refused before a model is made.
    what = request.check()
    device = parse_device(request.device)
    with one_thread():
        # 2. The model; selection alone needs none.
        sections: list[Section] = []
        if what != (SELECTION,):
            subject = load_subject(
                request.model,
                vision_tower=request.vision_tower,
                device=request.device,
                dtype=request.dtype,
                seed=request.seed,
            )
            sections += _model_sections(request, what, subject)
        if SELECTION in what:
            grid = partial(selections, device, request.rounds, request.seed)
            sections.append(Section("selection", {}, selection_tables, CELLS, grid, names=1))
        # 3. Measurements, written as they come: a run that is killed leaves the rounds that it finished.
        facts = origin(request.command, request.seed, device)
        for section in sections:
            rows = _measured(request, section, facts, quiet=quiet)
            # 4. Report.
            for table in section.show(rows):
                print_table(table, Console(), names=section.names)


def _model_sections(request: Request, what: tuple[str, ...], subject: Subject) -> list[Section]:
    """What is measured of a model."""
    own = Recommended.from_checkpoint(subject.pipe.model.config.raw)
    plan = Plan(
        latency=LATENCY in what,
        memory=MEMORY in what,
        caches=CACHES[request.cache],
        rounds=request.rounds,
        answer_tokens=own.max_new_tokens if request.max_new_tokens is None else request.max_new_tokens,
        step_ratio=request.step_ratio,
        seed=request.seed,
    )
    model = {"model": request.model, "dtype": subject.dtype}
    sections = []
    if plan.latency or plan.memory:
        lines = variants(request.methods, subject.pipe, request.budget, request.later)
        sections.append(
            Section("latency", model, latency_tables, plan.visits(len(lines)), partial(measure, subject, lines, plan))
        )
    if AUTOREGRESSIVE in what:
        named = POOLING if request.methods is None else request.methods
        lines = variants(named, subject.pipe, request.budget, request.later)
        visits = len(lines) * (1 + plan.rounds)
        twins = partial(versus, subject, lines, plan)
        sections.append(
            Section("autoregressive", model, partial(autoregressive_tables, columns=EVERY_VARIANT), visits, twins)
        )
    return sections


def _measured(request: Request, section: Section, facts: dict[str, Any], *, quiet: bool) -> list[dict[str, Any]]:
    """The section's finished lines."""
    rows: list[dict[str, Any]] = []
    with progress_bar(quiet=quiet) as bar, bad_input(ValueError):
        task = bar.add_task(section.kind, total=section.visits)

        def report(coming: str) -> None:
            bar.update(task, description=coming)
            bar.advance(task)

        try:
            for measured in section.tables(report):
                what = {"kind": section.kind, **section.model}
                rows = [rounded(with_schema({**what, **row, **facts})) for row in measured]
                if request.json is not None:
                    replace_results(request.json, rows, finished=False)
            if request.json is not None:
                replace_results(request.json, rows)
        except CheckError as error:
            raise RunFailed(str(error)) from error
    return rows
