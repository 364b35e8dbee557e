"""Measurements for people."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

MIB = 2**20
WIDTH = 150
"""Columns that the widest table needs; a narrower terminal breaks its lines, which loses nothing."""

Show = Callable[[Any], str]
Columns = Mapping[str, tuple[str, Show]]

_count: Show = str
_ms: Show = "{:.1f}".format
_ratio: Show = "{:.2f}×".format


def _mib(amount: float) -> str:
    return f"{amount / MIB:.1f}"


LATENCY: Columns = {
    "variant": ("variant", str),
    "cache": ("cache", lambda on: "on" if on else "off"),
    "visual_tokens": ("visual", _count),
    "prefix_tokens": ("prefix", _count),
    "kv_bytes": ("KV MiB", _mib),
    "kv_8b_mib": ("KV 8B MiB", "{:.0f}".format),
    "select_ms": ("select ms", _ms),
    "tower_ms": ("tower ms", _ms),
    "prefill_ms": ("prefill ms", _ms),
    "step_ms": ("ms/step", _ms),
    "end_to_end_ms": ("end to end ms", _ms),
    "ratio_to_pooled": ("to pooled", _ratio),
    "peak_bytes": ("peak MiB", _mib),
}
SELECTION: Columns = {
    "method": ("method", str),
    "tokens": ("tokens", _count),
    "kept": ("kept", _count),
    "select_ms": ("ms", _ms),
    "ratio_to_cosine": ("to N×N product", _ratio),
    "peak_bytes": ("peak MiB", _mib),
}
AUTOREGRESSIVE: Columns = {
    "variant": ("variant", str),
    "prefix_tokens": ("prefix", _count),
    "answer_tokens": ("answer", _count),
    "nfe": ("steps", _count),
    "autoregressive_token_ms": ("AR ms/token", _ms),
    "step_ms": ("ms/step", _ms),
    "autoregressive_ms": ("AR ms", _ms),
    "diffusion_ms": ("diffusion ms", _ms),
    "speedup": ("over AR", _ratio),
    "speedup_end_to_end": ("with image", _ratio),
}


def print_table(
    title: str, columns: Columns, rows: Sequence[Mapping[str, Any]], console: Console | None = None
) -> None:
    """One line a row; a column that nothing was measured for is left out, a value that was not is a dash."""
    shown = {key: column for key, column in columns.items() if any(row[key] is not None for row in rows)}
    table = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0))
    for heading, _ in shown.values():
        table.add_column(heading, justify="left" if heading in ("variant", "method") else "right", no_wrap=True)
    for row in rows:
        table.add_row(*(Text("–" if row[key] is None else show(row[key])) for key, (_, show) in shown.items()))
    console = Console() if console is None else console
    if console.width < WIDTH:
        console = Console(width=WIDTH)
    console.print(table)
