"""What `shirg ablate` does: measures with a progress bar, writes rows, returns their tables."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import cast

from shirg_bench.accuracy.adaptive import ADAPTED, PARTS, adaptive_rows
from shirg_bench.accuracy.budgets import curve_plan, curve_rows, entries_of
from shirg_bench.accuracy.compare import (
    LEARNED,
    NEEDS_ADAPTERS,
    NEEDS_VIEWS,
    ablate,
    ablation_plan,
    comparisons_for,
    variants_of,
)
from shirg_bench.accuracy.kinds import VARIANTS, kind_rows
from shirg_bench.accuracy.measure import Bench, chunks, open_bench
from shirg_bench.accuracy.options import ADAPTIVE, BUDGET, EMBEDDED_REGIME, KINDS, AblateOptions
from shirg_bench.accuracy.rows import RULES, Run
from shirg_bench.results.merge import merge_rows, merged
from shirg_bench.results.rows import Row, rows_there
from shirg_bench.results.scores import score_tables
from shirg_bench.results.table import markdown
from shirg_core.cli.errors import BadInput, RunFailed, bad_input
from shirg_core.in_use import hold
from shirg_core.progress import progress_bar
from shirg_lavida.checkpoint.embedded import ADAPTERS, named
from shirg_train.testbed.pages.config import Split

FILES = {BUDGET: "accuracy_budget.jsonl", KINDS: "accuracy_kinds.jsonl"}
"""Table → name of its file; ablations share one."""
MISSING = dict.fromkeys(NEEDS_ADAPTERS, "no --adapter was given") | dict.fromkeys(
    NEEDS_VIEWS, "the model sees pages in one view"
)
MISSING[LEARNED] = "no --run was given"
"""Ablation → why it may have no rows."""


def run_ablations(options: AblateOptions, *, quiet: bool = False) -> str:
    """Measure, write, and return what was written as text; draw no progress bar if `quiet`.

    Raises:
        BadInput: a model or adapter that cannot be used, a folder in use or not writable, or results in it that are
            damaged or cannot stand beside the new ones.
        RunFailed: a selector that refuses, or a file that cannot be written.
    """
    with bad_input(ImportError, AttributeError, OSError, ValueError):
        adapters = {name: Path(named(folder, ADAPTERS)) for name, folder in options.adapter_folders.items()}
        bench = open_bench(
            options.location,
            options.chunks,
            adapters=adapters,
            runs=options.run_folders,
            seed=options.seed,
            split=cast("Split", options.split),
        )
    with hold(options.output, lambda why: BadInput(f"--output: {why}")):
        with bad_input(OSError, ValueError):
            _check_results(options, bench)
        try:
            return _measure_all(options, bench, quiet=quiet)
        except (OSError, ValueError) as error:
            raise RunFailed(str(error)) from error


def _measure_all(options: AblateOptions, bench: Bench, *, quiet: bool) -> str:
    written: list[str] = []
    with progress_bar(transient=False, quiet=quiet) as progress:
        if where := "; ".join(bench.journal.damaged):
            note = f"note  {len(bench.journal.damaged)} damaged line(s) of the journal, measured again: {where}"
            progress.console.print(note, markup=False, highlight=False, soft_wrap=True)
        chunks_of_variant = len(chunks(options.pages)) * len(options.tier_ids)
        variants = sum(_variant_count(options, bench, name) for name in options.names)
        task = progress.add_task("", total=variants * chunks_of_variant)

        for name in options.names:
            progress.update(task, description=name)
            run = _run(options, bench, name)._replace(advance=partial(progress.advance, task))
            if name == BUDGET:
                rows = curve_rows(run, options.chosen)
            elif name == KINDS:
                rows = kind_rows(run)
            elif name == ADAPTIVE:
                rows = adaptive_rows(run, options.adaptive)
            else:
                rows = ablate(run, name)
            # After each table, so that a killed run leaves the finished ones readable.
            written.append(
                _write(_results(options, name), rows, whole=options.is_whole(name))
                if rows
                else f"{name}: no rows, because {MISSING[name]}"
            )
    return "\n".join(written)


def _check_results(options: AblateOptions, bench: Bench) -> None:
    """Whether every table can go into its file, before hours are spent on it."""
    for name in options.names:
        run = _run(options, bench, name)
        if name == BUDGET:
            rows = curve_plan(run, options.chosen)
        else:
            rows = [] if name in (KINDS, ADAPTIVE) else ablation_plan(run, name)
        path = _results(options, name)
        merged(path, rows_there(path), rows, RULES, whole=options.is_whole(name))


def _run(options: AblateOptions, bench: Bench, name: str) -> Run:
    regime = EMBEDDED_REGIME if options.regime is None else options.regime
    return Run(bench, options.tier_ids, options.pages, regime, options.command(name))


def _variant_count(options: AblateOptions, bench: Bench, name: str) -> int:
    """How many variants a table measures."""
    if name == BUDGET:
        return len(entries_of(bench, options.chosen))
    if name == ADAPTIVE:
        return PARTS * len(ADAPTED)
    return len(VARIANTS if name == KINDS else variants_of(comparisons_for(bench, name)))


def _write(path: Path, rows: Sequence[Row], *, whole: bool) -> str:
    """Put a table's rows into their file, and return their tables as Markdown."""
    merge_rows(path, rows, RULES, whole=whole)
    tables = "\n\n".join(markdown(table) for table in score_tables(rows[0]["kind"], rows))
    return f"{tables}\n\n{len(rows)} rows in {path}\n"


def _results(options: AblateOptions, name: str) -> Path:
    return options.output / FILES.get(name, "ablations.jsonl")
