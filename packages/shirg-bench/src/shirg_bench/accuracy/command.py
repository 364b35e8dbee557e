"""What `shirg ablate` does: measures with a progress bar, writes rows and tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from shirg_bench.accuracy.budgets import curve_plan, curve_rows, entries_of
from shirg_bench.accuracy.compare import ABLATIONS, ablate, ablation_plan, comparisons_of, variants_of
from shirg_bench.accuracy.files import kept_rows, merge_rows, write_text
from shirg_bench.accuracy.kinds import VARIANTS, kind_rows
from shirg_bench.accuracy.measure import Bench, chunks, open_bench
from shirg_bench.accuracy.options import BUDGET, EMBEDDED_REGIME, KINDS, AblateOptions
from shirg_bench.accuracy.rows import Run
from shirg_bench.accuracy.tables import Row, ablation_table, budget_table, kinds_table
from shirg_core.cli.errors import BadInput, bad_input
from shirg_core.progress import progress_bar
from shirg_lavida.checkpoint.embedded import ADAPTERS, named

FILES: dict[str, tuple[str, Callable[[Sequence[Row]], str]]] = {
    "accuracy": ("accuracy_budget", budget_table),
    "kinds": ("accuracy_kinds", kinds_table),
    "ablation": ("ablations", ablation_table),
}
"""Kind of row → name of its files, and its Markdown."""


class RunFailed(BadInput):
    """A run that could not go on: one line on stderr, exit code 1."""

    exit_code = 1


def run_ablations(options: AblateOptions) -> str:
    """Measure, write, and return what was written as text.

    Raises:
        BadInput: a model or adapter that cannot be used, or a folder that cannot be written, or whose results were
            measured otherwise than the lines that shall stand beside them.
        RunFailed: a damaged file of answers or results.
    """
    with bad_input(ImportError, AttributeError, OSError, ValueError):
        adapters = {name: Path(named(folder, ADAPTERS)) for name, folder in options.adapter_folders.items()}
        bench = open_bench(options.location, options.chunks, adapters=adapters, seed=options.seed)
        options.output.mkdir(parents=True, exist_ok=True)
        _check_results(options, bench)
    try:
        return _measure_all(options, bench)
    except (OSError, ValueError) as error:
        raise RunFailed(str(error)) from error


def _measure_all(options: AblateOptions, bench: Bench) -> str:
    counts = variant_counts(options, bench)
    written: list[str] = []
    with progress_bar(transient=False) as progress:
        chunks_of_variant = len(chunks(options.pages)) * len(options.tiers)
        task = progress.add_task("", total=sum(counts[name] for name in options.names) * chunks_of_variant)

        def advance() -> None:
            progress.advance(task)

        for name in options.names:
            progress.update(task, description=name)
            run = _run(options, bench, name)
            if name == BUDGET:
                rows = curve_rows(run, options.tiers, advance, options.chosen)
            elif name == KINDS:
                rows = kind_rows(run, options.tiers, advance)
            else:
                rows = ablate(run, name, options.tiers, advance)
            # After each table, so that a killed run leaves the finished ones readable.
            written.append(
                _write(options.output, rows, whole=options.is_whole(name))
                if rows
                else f"{name}: no rows, because no --adapter was given"
            )
    return "\n".join(written)


def _check_results(options: AblateOptions, bench: Bench) -> None:
    """Whether every table can go into its file, before hours are spent on it."""
    for name in options.names:
        run = _run(options, bench, name)
        if name == BUDGET:
            rows = curve_plan(run, options.tiers, options.chosen)
        else:
            rows = [] if name == KINDS else ablation_plan(run, name, options.tiers)
        if rows:
            kept_rows(_results(options.output, rows), rows, whole=options.is_whole(name))


def _run(options: AblateOptions, bench: Bench, name: str) -> Run:
    return Run(
        bench, options.pages, EMBEDDED_REGIME if options.regime is None else options.regime, options.command(name)
    )


def variant_counts(options: AblateOptions, bench: Bench) -> Mapping[str, int]:
    """How many variants each table measures."""
    comparisons = comparisons_of(list(ABLATIONS), bench.adapters)
    counts = {name: len(variants_of(all_)) for name, all_ in comparisons.items()}
    return {BUDGET: len(entries_of(bench, options.chosen)), KINDS: len(VARIANTS), **counts}


def _write(folder: Path, rows: Sequence[Row], *, whole: bool) -> str:
    """Put a table's rows into its files, and return it as Markdown."""
    path, markdown = _results(folder, rows), FILES[rows[0]["kind"]][1]
    write_text(path.with_suffix(".md"), markdown(merge_rows(path, rows, whole=whole)))
    return f"{markdown(rows)}\n{len(rows)} rows in {path}\n"


def _results(folder: Path, rows: Sequence[Row]) -> Path:
    return folder / f"{FILES[rows[0]['kind']][0]}.jsonl"
