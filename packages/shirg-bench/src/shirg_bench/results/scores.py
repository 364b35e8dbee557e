"""Tables of accuracy: a column per tier, a line per method or variant and budget."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from shirg_bench.results.rows import Row
from shirg_bench.results.table import Table
from shirg_bench.results.words import (
    NONE,
    SEED,
    budget_words,
    change_words,
    number_words,
    ordered,
    score_words,
    tier_words,
)

AVERAGED = {"exact_match": 4, "visual_tokens": 1, "value_recall": 4}
"""What a mean over training seeds averages, and to how many digits."""
SAME_PAGES = ("pages", "questions", "split", "seed")
"""Only rows that agree in these are averaged."""
LINE = ("tier", "group", "method", "options", "budget")
COSTS = {
    "parameters trained": ("trained_parameters", ",.0f"),
    "training, CPU s": ("training_cpu_s", ".0f"),
    "prefill, ms": ("prefill_ms", ".1f"),
    "step, ms": ("step_ms", ".1f"),
}
"""Column → key of a row of trained selectors and compressors, and its format."""


def score_tables(kind: str, rows: Sequence[Row]) -> list[Table]:
    """Every table of rows of one kind: `accuracy`, `kinds` or `ablation`."""
    if kind == "accuracy":
        return [*accuracy_tables(rows), *gain_tables(rows), *seed_tables(rows)]
    if kind == "kinds":
        return kinds_tables(rows)
    costed = [row for row in rows if "trained_parameters" in row]
    others = [row for row in rows if "trained_parameters" not in row]
    return [*ablation_tables(others), *learned_tables(costed), *nll_tables(others)]


def accuracy_tables(rows: Sequence[Row]) -> list[Table]:
    """One per regime: a line per method, options and budget."""
    caption = "Exact match [95 % interval] · mean visual tokens · share of the asked value that was kept, {regime}"
    return _tables(caption, ("regime",), ("method", "budget"), rows, _method_key, _score_and_tokens)


def gain_tables(rows: Sequence[Row]) -> list[Table]:
    """One per regime: paired differences to v2 at the same budget."""
    paired = [row for row in rows if "vs_v2" in row and row["method"] != "v2"]
    caption = "Points above v2 at the same budget, same questions [95 % interval], {regime}"
    return _tables(caption, ("regime",), ("method", "budget"), paired, _method_key, lambda r: change_words(r, "vs_v2"))


def seed_tables(rows: Sequence[Row]) -> list[Table]:
    """One per regime that was trained from several seeds: means of the lines that all its runs measured alike."""
    tables = []
    for trained in dict.fromkeys(_trained(row) for row in rows):
        mine = [row for row in rows if _trained(row) == trained]
        runs = len(ordered(mine, "regime"))
        if runs > 1:
            means = _means(mine, runs)
            caption = f"Mean exact match [lowest, highest] of {runs} models trained from different seeds, {trained}"
            caption += "" if means else ": they share no line on the same pages"
            tables.append(_by_tier(caption, ("method", "budget"), means, _method_key, _score_and_tokens))
    return tables


def kinds_tables(rows: Sequence[Row]) -> list[Table]:
    """One per regime: a line per kind of block that answers stand in, and method."""
    caption = "By what the answer stands in: exact match [95 % interval] of questions, {regime}"

    def cell(row: Row) -> str:
        return f"{score_words(row)} of {row['questions']}"

    return _tables(caption, ("regime",), ("stands in", "method", "budget"), rows, _kind_key, cell)


def ablation_tables(rows: Sequence[Row]) -> list[Table]:
    """One per regime and ablation: exact match and its difference to the reference in points."""
    names = ("variant", "budget")
    return _tables("{ablation}, {regime}", ("regime", "ablation"), names, rows, _variant_key, _change)


def learned_tables(rows: Sequence[Row]) -> list[Table]:
    """One per regime: what was trained or not at each budget, and what training and answering cost."""
    caption = "{ablation}, {regime}: exact match [95 % interval] · mean visual tokens; times of one CPU thread"

    def cell(row: Row) -> str:
        return f"{score_words(row)} · {row['visual_tokens']:g}"

    names = "variant", "budget", *COSTS
    tables = _tables(caption, ("regime", "ablation"), names, rows, _cost_key, cell)
    # Accuracy before costs.
    order = [0, 1, *range(len(names), len(tables[0].header)), *range(2, len(names))] if tables else []
    return [
        Table(table.caption, [table.header[i] for i in order], [[row[i] for i in order] for row in table.rows])
        for table in tables
    ]


def nll_tables(rows: Sequence[Row]) -> list[Table]:
    """One per regime and ablation that measures the validation NLL."""
    measured = [{**row, "note": ""} for row in rows if "nll" in row]
    caption, names = "{ablation}: validation NLL in nats per token, {regime}", ("variant", "budget")
    return _tables(caption, ("regime", "ablation"), names, measured, _variant_key, lambda row: f"{row['nll']:.2f}")


def _tables(
    caption: str,
    apart: Sequence[str],
    names: Sequence[str],
    rows: Sequence[Row],
    key: Callable[[Row], tuple[str, ...]],
    cell: Callable[[Row], str],
) -> list[Table]:
    """A table for all rows that agree in `apart`; its caption ends with their notes."""
    tables = []
    for values in dict.fromkeys(tuple(row[name] for name in apart) for row in rows):
        mine = [row for row in rows if tuple(row[name] for name in apart) == values]
        notes = dict.fromkeys(row["note"] for row in mine if row.get("note"))
        words = ". ".join([caption.format(**dict(zip(apart, values, strict=True))), *notes])
        tables.append(_by_tier(words, names, mine, key, cell))
    return tables


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
    return Table(caption, (*names, *map(tier_words, tiers)), cells)


def _method_key(row: Row) -> tuple[str, ...]:
    options = ", ".join(f"{name} {value}" for name, value in (row.get("options") or {}).items())
    method = f"{row['method']} ({options})" if options else str(row["method"])
    return method, NONE if row["budget"] is None else budget_words(row["budget"])


def _kind_key(row: Row) -> tuple[str, ...]:
    return str(row["stands_in"]), *_method_key(row)


def _variant_key(row: Row) -> tuple[str, ...]:
    return str(row["variant"]), NONE if row["budget"] is None else budget_words(row["budget"])


def _score_and_tokens(row: Row) -> str:
    recall = row.get("value_recall")
    return f"{score_words(row)} · {row['visual_tokens']:g}" + ("" if recall is None else f" · {recall:.0%}")


def _cost_key(row: Row) -> tuple[str, ...]:
    costs = (number_words(row[name], form) for name, form in COSTS.values())
    return *_variant_key(row), *costs


def _change(row: Row) -> str:
    if row["variant"] == row["reference"]:
        return f"{score_words(row)}, reference"
    return f"{row['exact_match']:.3f}, {change_words(row, 'difference')}"


def _trained(row: Row) -> str:
    return str(row["regime"]).partition(SEED)[0]


def _means(rows: Sequence[Row], runs: int) -> list[Row]:
    """One row for each tier and variant that every run has, on the same pages."""
    alike: dict[str, list[Row]] = {}
    for row in rows:
        alike.setdefault(repr([row.get(name) for name in (*LINE, *SAME_PAGES)]), []).append(row)
    found = [(mine, [row["exact_match"] for row in mine]) for mine in alike.values() if len(mine) == runs]
    return [{**mine[0], **_averages(mine), "low": min(scores), "high": max(scores)} for mine, scores in found]


def _averages(rows: Sequence[Row]) -> dict[str, float]:
    names = {name: digits for name, digits in AVERAGED.items() if rows[0].get(name) is not None}
    return {name: round(sum(row[name] for row in rows) / len(rows), digits) for name, digits in names.items()}
