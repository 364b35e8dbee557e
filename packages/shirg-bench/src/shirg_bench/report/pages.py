"""The report's section on real print."""

from __future__ import annotations

from shirg_bench.plots.kept import stored_sheet
from shirg_bench.report.page import Picture, Section
from shirg_bench.report.sections import PAGES, Results
from shirg_bench.results.pages import page_tables


def pages_section(results: Results) -> Section:
    """Print kept and read, and the pictures that lie beside the rows."""
    caption = "Pages, and what each method keeps of them (clear) and drops (dimmed): {name}, share of the print above."
    pictures = [
        Picture(path.stem, caption.format(name=path.stem.removeprefix("pages_")), stored_sheet(path), True)
        for path in sorted(results.folder.glob("pages_*.png"))
    ]
    text = [
        "Pages whose print has known places, as a real tower (DINOv2) sees them: what methods keep of it, and what a "
        "real reader (PP-OCRv6) reads where kept patches stand in full resolution over the page averaged 2 × 2."
    ]
    return Section("Real print", text, results.missing(PAGES), pictures, page_tables(results.of(PAGES, "pages")))
