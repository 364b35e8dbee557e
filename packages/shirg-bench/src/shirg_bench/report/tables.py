"""Rows of results files as tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from shirg_bench.ledger import CONTRADICTED, NO_NUMBERS, NOT_TESTABLE, Settled
from shirg_bench.plots.style import Row, budget_words, model_words, ordered, setting_words
from shirg_bench.report.page import Table

Columns: TypeAlias = Mapping[str, Callable[[Row], str]]
"""Heading → how a row's cell reads."""
MIB = 2**20
NONE = "–"
MARKS = {
    "holds": "✓ holds",
    "partly": "◐ partly",
    "fails": "✗ fails",
    NOT_TESTABLE: "? not testable here",
    NO_NUMBERS: "– no numbers",
    CONTRADICTED: "! these numbers say otherwise",
}


def accuracy_tables(rows: Sequence[Row]) -> list[Table]:
    """One per regime: a line per method, options and budget, a column per tier."""
    tables = []
    for regime in ordered(rows, "regime"):
        mine = [row for row in rows if row["regime"] == regime]
        caption = f"Exact match [95 % interval] · mean visual tokens · share of the asked value that was kept, {regime}"
        tables.append(_by_tier(caption, ("method", "budget"), mine, _accuracy_key, _score_and_tokens))
    return tables


def kinds_tables(rows: Sequence[Row]) -> list[Table]:
    """One per regime: a line per kind of block that answers stand in, and method."""
    tables = []
    for regime in ordered(rows, "regime"):
        mine = [row for row in rows if row["regime"] == regime]
        caption = f"By what the answer stands in: exact match [95 % interval] of questions, {regime}"
        tables.append(_by_tier(caption, ("stands in", "method", "budget"), mine, _kind_key, _score_and_questions))
    return tables


def ablation_tables(rows: Sequence[Row]) -> list[Table]:
    """One per regime and ablation: exact match and its difference to the reference in points."""
    tables = []
    for regime, ablation in dict.fromkeys((row["regime"], row["ablation"]) for row in rows):
        mine = [row for row in rows if (row["regime"], row["ablation"]) == (regime, ablation)]
        notes = dict.fromkeys(row["note"] for row in mine if row.get("note"))
        caption = ". ".join([f"{ablation}, {regime}", *notes])
        tables.append(_by_tier(caption, ("variant", "budget"), mine, _ablation_key, _change))
    return tables


def latency_tables(rows: Sequence[Row]) -> list[Table]:
    """One per model, dtype, length of the answer and hardware: a line per variant, with and without cache."""
    columns: Columns = {
        "variant": lambda row: str(row["variant"]),
        "cache": lambda row: "on" if row["cache"] else "off",
        "visual tokens": lambda row: _number(row["visual_tokens"], "g"),
        "prefix tokens": lambda row: _number(row["prefix_tokens"], "g"),
        "KV, MiB": lambda row: _number(row["kv_bytes"], ".2f", MIB),
        "KV of the 8B model, MiB": lambda row: _number(row.get("kv_8b_mib"), ".1f"),
        "select, ms": lambda row: _number(row["select_ms"], ".1f"),
        "tower, ms": lambda row: _number(row["tower_ms"], ".1f"),
        "prefill, ms": lambda row: _number(row["prefill_ms"], ".1f"),
        "ms per step": lambda row: _number(row["step_ms"], ".2f"),
        "end to end, ms": lambda row: _number(row["end_to_end_ms"], ".1f"),
        "× pooled": lambda row: _number(row.get("ratio_to_pooled"), ".2f"),
        "peak, MiB": lambda row: _number(row["peak_bytes"], ".0f", MIB),
    }
    return _by_origin(rows, columns, lambda row: f"{setting_words(row)}, on {row['hardware']}")


def autoregressive_tables(rows: Sequence[Row]) -> list[Table]:
    """One per model, dtype and hardware: the same-size autoregressive model against fewer and fewer denoising steps."""
    columns: Columns = {
        "steps": lambda row: _number(row["nfe"], "g"),
        "answer tokens": lambda row: _number(row["answer_tokens"], "g"),
        "prefix tokens": lambda row: _number(row["prefix_tokens"], "g"),
        "autoregressive, ms": lambda row: _number(row["autoregressive_ms"], ".1f"),
        "diffusion, ms": lambda row: _number(row["diffusion_ms"], ".1f"),
        "times as fast": lambda row: _number(row["speedup"], ".2f"),
        "end to end": lambda row: _number(row["speedup_end_to_end"], ".2f"),
    }
    caption = "Diffusion against the same-size autoregressive model"
    return _by_origin(rows, columns, lambda row: f"{caption}, {model_words(row)}, on {row['hardware']}")


def selection_tables(rows: Sequence[Row]) -> list[Table]:
    """One per hardware: what choosing costs, a line per method and shape."""
    columns: Columns = {
        "method": lambda row: str(row["method"]),
        "tokens": lambda row: _number(row["tokens"], "g"),
        "kept": lambda row: _number(row["kept"], "g"),
        "ms": lambda row: _number(row["select_ms"], ".1f"),
        "× one cosine product": lambda row: _number(row["ratio_to_cosine"], ".3f"),
        "peak, MiB": lambda row: _number(row["peak_bytes"], ".1f", MIB),
    }
    return _by_origin(rows, columns, lambda row: f"Selection alone, on {row['hardware']}")


def _by_origin(rows: Sequence[Row], columns: Columns, caption: Callable[[Row], str]) -> list[Table]:
    """A table for all rows that share a caption."""
    tables: dict[str, list[list[str]]] = {}
    for row in rows:
        tables.setdefault(caption(row), []).append([cell(row) for cell in columns.values()])
    return [Table(words, tuple(columns), cells) for words, cells in tables.items()]


def ledger_table(caption: str, settled: Sequence[Settled]) -> Table:
    """One line per claim: verdict, claim and source, what came out, what decides it."""
    rows = [
        (
            MARKS[each.verdict],
            f"{each.claim.claim} ({each.claim.source})",
            " ".join(part for part in (each.measured, each.claim.note) if part),
            f"`{each.claim.command}`",
        )
        for each in settled
    ]
    return Table(caption, ("verdict", "claim", "what came out", "decided by"), rows)


def _by_tier(
    caption: str,
    names: Sequence[str],
    rows: Sequence[Row],
    key: Callable[[Row], tuple[str, ...]],
    cell: Callable[[Row], str],
) -> Table:
    tiers = ordered(rows, "tier")
    lines: dict[tuple[str, ...], dict[str, str]] = {}
    for row in rows:
        lines.setdefault(key(row), {})[row["tier"]] = cell(row)
    cells = [[*line, *(here.get(tier, NONE) for tier in tiers)] for line, here in lines.items()]
    return Table(caption, (*names, *tiers), cells)


def _accuracy_key(row: Row) -> tuple[str, ...]:
    options = ", ".join(f"{name} {value}" for name, value in _options(row).items())
    method = f"{row['method']} ({options})" if options else str(row["method"])
    return method, NONE if row["budget"] is None else budget_words(row["budget"])


def _kind_key(row: Row) -> tuple[str, ...]:
    return str(row["stands_in"]), *_accuracy_key(row)


def _ablation_key(row: Row) -> tuple[str, ...]:
    return str(row["variant"]), NONE if row["budget"] is None else budget_words(row["budget"])


def _options(row: Row) -> Mapping[str, Any]:
    options: Mapping[str, Any] = row.get("options") or {}
    return options


def _score(row: Row) -> str:
    return f"{row['exact_match']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"


def _score_and_tokens(row: Row) -> str:
    recall = row.get("value_recall")
    return f"{_score(row)} · {row['visual_tokens']:g}" + ("" if recall is None else f" · {recall:.0%}")


def _score_and_questions(row: Row) -> str:
    return f"{_score(row)} of {row['questions']}"


def _change(row: Row) -> str:
    if row["variant"] == row["reference"]:
        return f"{_score(row)}, reference"
    change, low, high = (100 * row[name] for name in ("difference", "difference_low", "difference_high"))
    return f"{row['exact_match']:.3f}, {change:+.1f} [{low:+.1f}, {high:+.1f}]"


def _number(value: float | None, form: str, unit: float = 1.0) -> str:
    return NONE if value is None else format(value / unit, form)
