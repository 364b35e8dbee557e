"""`shirg methods`: every way to choose tokens, as a table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

SCHEMA = "shirg.methods/1"
"""Of the JSON list; `docs/json.md` lists its fields."""
HEADINGS = ("method", "keeps", "needs", "what it is")


def methods(
    json: Annotated[Path | None, typer.Option("--json", help="Machine-readable list; - is standard output.")] = None,
) -> None:
    """List the methods that every command knows: name, what each keeps and needs, what it is."""
    # Imported here so that `shirg --help` does not wait for torch.
    from rich.table import Table

    from shirg_core.cli.output import STANDARD, check_outputs, report_console, write_json
    from shirg_core.methods import METHODS

    check_outputs(None, None, json)
    if json is not None:
        write_json(json, {"schema": SCHEMA, "methods": [method.as_json() for method in METHODS.values()]})
    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in HEADINGS:
        table.add_column(heading, no_wrap=heading == "method", overflow="fold")
    for cells in table_rows():
        table.add_row(*cells)
    if json != STANDARD:
        report_console(json).print(table)


def table_rows() -> list[tuple[str, ...]]:
    """What `HEADINGS` stand over, a row for each method."""
    from shirg_core.methods import KEEPS, METHODS

    rows: list[tuple[str, ...]] = []
    for method in METHODS.values():
        keeps = f"{KEEPS[method.keeps]}, merged" if method.merges else KEEPS[method.keeps]
        only = f" Only in {' and '.join(method.only)}." if method.only else ""
        aliases = f" Also: {', '.join(method.aliases)}." if method.aliases else ""
        rows.append((method.name, keeps, ", ".join(method.needs), f"{method.about}{only}{aliases}"))
    return rows
