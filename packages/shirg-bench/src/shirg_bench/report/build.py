"""Building a report: sections from results, pictures, and the pages that hold them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from shirg_bench.ledger import settle, shipped_claims
from shirg_bench.plots import answer_sheet, save_plot, token_clouds
from shirg_bench.plots.tokens import embed_tokens
from shirg_bench.report.claims import ledger_section
from shirg_bench.report.html import FIGURES, to_html
from shirg_bench.report.markdown import to_markdown
from shirg_bench.report.page import Picture, Section
from shirg_bench.report.pages import pages_section
from shirg_bench.report.sections import (
    Results,
    ablation_section,
    accuracy_section,
    latency_section,
    origin_section,
)
from shirg_bench.report.summary import summary_section
from shirg_core.files import write_text
from shirg_core.progress import Report

TITLE = "SHIRG: what was measured"
EXPLORE, EXPLORER = "Explore two of these pages: patch by patch, at every budget", "explorer.html"
FORMATS = {"html": "index.html", "md": "report.md"}


def build_report(
    results: Path, out: Path, formats: Sequence[str], *, examples: bool = True, report: Report = lambda _: None
) -> list[Path]:
    """Write the report and its pictures.

    With `examples` the embedded model runs for a minute, and the explorer's page is written, too.

    Returns:
        The pages.

    Raises:
        ValueError: a damaged results file, or an unknown format.
        OSError: what cannot be read or written.
    """
    unknown = [name for name in formats if name not in FORMATS]
    if unknown or not formats:
        raise ValueError(f"formats must be some of {', '.join(FORMATS)}, got {', '.join(formats) or 'none'}")
    found = Results.read(results)
    (out / FIGURES).mkdir(parents=True, exist_ok=True)
    sections = list(_sections(found, out, examples, report))
    report("writing")
    pictures = {}
    for picture in (each for section in sections for each in section.pictures):
        path = out / FIGURES / picture.file
        save_plot(picture.figure, path)
        pictures[picture.name] = path.read_bytes()
    for name in formats:
        html = name == "html"
        page = to_html(TITLE, sections, pictures) if html else to_markdown(TITLE, sections)
        write_text(out / FORMATS[name], page)
    return [out / FORMATS[name] for name in formats]


def _sections(results: Results, out: Path, examples: bool, report: Report) -> Iterator[Section]:
    report("ledger")
    settled = settle(shipped_claims(), results.folder)
    yield summary_section(results, settled)
    for name, section in (
        ("accuracy", accuracy_section),
        ("ablations", ablation_section),
        ("latency", latency_section),
        ("real print", pages_section),
    ):
        report(name)
        yield section(results)
    if examples:
        yield _example_section(out, report)
    else:
        yield Section(
            "Examples", missing=["Left out, as asked; without `--no-examples` the embedded model draws them."]
        )
    yield ledger_section(settled)
    yield origin_section(results)


def _example_section(out: Path, report: Report) -> Section:
    # Imported here: the model and transformers take seconds that a report without examples need not wait for.
    from shirg_bench.report.examples import ask_samples, cloud_of_tokens, embedded_pipeline, explore_samples

    report("examples: answers")
    pipe = embedded_pipeline()
    sheet = answer_sheet(ask_samples(pipe))
    report("examples: tokens")
    cloud = cloud_of_tokens(pipe)
    plane = token_clouds(embed_tokens(cloud.features), cloud.shows_answer, cloud.clouds)
    report("examples: explorer")
    write_text(out / EXPLORER, explore_samples(pipe))
    text = [
        "Sample pages that come with the embedded model, answered while this report was made; they are no statistics."
    ]
    kept = "What each method kept (clear), dropped (dimmed) or averaged (framed), and the answer: ✓ right, ✗ wrong."
    cloud_caption = "Visual tokens of six unseen pages by similarity: what v2 and v3 kept, and where the answer stands."
    pictures = [Picture("answers", kept, sheet, True), Picture("tokens", cloud_caption, plane)]
    return Section("Examples", text, pictures=pictures, links={EXPLORE: EXPLORER})
