"""What `shirg pages` does: measures with a progress bar, writes rows and the picture, returns the tables."""

from __future__ import annotations

from collections.abc import Sequence

from rich.progress import Progress

from shirg_bench.pages.features import FeatureCache
from shirg_bench.pages.geometry import VIEWS
from shirg_bench.pages.measure import Measure
from shirg_bench.pages.options import PagesOptions
from shirg_bench.pages.page import PrintedPage
from shirg_bench.pages.reader import load_reader
from shirg_bench.pages.result import PageResult
from shirg_bench.pages.rows import FILE, RULES, Facts, page_rows
from shirg_bench.pages.tower import LAYERS, NAME, load_tower
from shirg_bench.plots.kept import PageStrip, kept_sheet
from shirg_bench.plots.save import save_plot
from shirg_bench.results.merge import merge_rows
from shirg_bench.results.pages import page_tables
from shirg_bench.results.rows import rows_there
from shirg_bench.results.table import markdown
from shirg_core.cli.errors import RunFailed, bad_input
from shirg_core.progress import progress_bar

PICTURED = 6
"""Pages of the picture."""


def run_pages(options: PagesOptions, *, quiet: bool = False) -> str:
    """Measure, write, and return what was written as text.

    Raises:
        BadInput: a folder that cannot be written, or damaged results in it.
        RunFailed: no page that can be had, a selector that refuses one, or a file that cannot be written.
    """
    with bad_input(OSError, ValueError):
        options.output.mkdir(parents=True, exist_ok=True)
        rows_there(options.output / FILE)
        measure = _measure(options)
        notes = _damaged(measure)
    with progress_bar(transient=False, quiet=quiet) as progress:
        for note in notes:
            _say(progress, note)
        try:
            return _run(options, measure, progress)
        except (OSError, ValueError) as error:
            raise RunFailed(str(error)) from error


def _measure(options: PagesOptions) -> Measure:
    return Measure(
        source=options.source,
        variants=options.variants,
        budgets=options.kept_at,
        views=options.views,
        features=FeatureCache(options.cache / "features", load_tower, NAME),
        folder=options.cache,
        seed=options.seed,
        reader=load_reader() if options.reader else None,
        reads=options.reads,
        read_budgets=options.read_at,
    )


def _run(options: PagesOptions, measure: Measure, progress: Progress) -> str:
    keys, numbers = measure.source.keys(), options.numbers
    task = progress.add_task("", total=len(numbers))
    results: list[PageResult] = []
    skipped = 0
    for place, number in enumerate(numbers):
        key = keys[number]
        progress.update(task, description=key)
        try:
            page = measure.source.load(key)
        except (OSError, ValueError) as error:
            skipped += 1
            _say(progress, f"skipped  {error}")
        else:
            read = options.reader and (options.read_pages is None or place < options.read_pages)
            results.append(measure.page(number, key, page, read=read))
        progress.advance(task)
    if not results:
        raise RunFailed(f"none of the {skipped} pages can be read")
    pages = f"{numbers[0]}-{numbers[-1]}"
    facts = Facts(pages, skipped, f"{NAME}, {LAYERS} layers", options.command)
    rows = page_rows(measure, results, facts)
    path = options.output / FILE
    merge_rows(path, rows, RULES, whole=options.methods is None)
    picture = options.output / f"pages_{measure.source.name}.png"
    save_plot(kept_sheet(_strips(options, measure, results)), picture)
    tables = "\n\n".join(markdown(table) for table in page_tables(rows))
    return f"{tables}\n\n{len(rows)} rows in {path}, picture in {picture}\n"


def _strips(options: PagesOptions, measure: Measure, results: Sequence[PageResult]) -> list[PageStrip]:
    """Pages of the picture, evenly spaced, at the middle budget."""
    budget = sorted(options.kept_at)[len(options.kept_at) // 2]
    count = min(PICTURED, len(results))
    strips = []
    for result in (results[i * len(results) // count] for i in range(count)):
        page: PrintedPage = measure.source.load(result.key)
        columns = {name: result.masks[name, budget].numpy() for name in options.columns}
        kept = {name: result.kept[name, budget] for name in options.columns}
        captions = {name: f"{name} · print {kept[name].print:.0%}" for name in options.columns}
        strips.append(PageStrip(result.key, page.image, VIEWS[options.views](page.image).layout, columns, captions))
    return strips


def _damaged(measure: Measure) -> list[str]:
    damaged = measure.damaged
    return (
        [f"note  {len(damaged)} damaged line(s) of the cache, measured again: {'; '.join(damaged)}"] if damaged else []
    )


def _say(progress: Progress, text: str) -> None:
    progress.console.print(text, markup=False, highlight=False, soft_wrap=True)
