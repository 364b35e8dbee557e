"""Rows as Markdown: one table for the budget curve, one per ablation; a column per tier."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

Row = Mapping[str, Any]
AGAINST_V2 = "In parentheses: points above v2 at the same K, on the same questions; `=` is v2.\n"
SCORE = "Exact match [95 % interval: bootstrap over pages, exact where all are right or all wrong];"
SEED = ", seed "
"""In the name of a regime: the same training from another seed, e.g. `frozen tower, seed 2`."""
GROUPS = {
    "whole": "Every token",
    "own": "Methods that decide how many tokens they keep",
    "budget": "Equal budgets",
    "pooled-k": "As many kept tokens as pooling",
    "pooled-prefix": "A prefix no longer than pooling's",
}
AVERAGED = ("kept_tokens", "visual_tokens", "value_recall")
"""What a mean over training seeds averages, beside exact match."""
SAME_PAGES = ("pages", "questions", "split", "seed")
"""Only rows that agree in these are averaged."""
COUNTS = ("kept", "tokens", "value kept")
"""Columns between what was run and the tiers' scores."""


def budget_table(rows: Sequence[Row]) -> str:
    """The accuracy rows, one regime after the other."""
    parts = []
    for regime in dict.fromkeys(row["regime"] for row in rows):
        mine = [row for row in rows if row["regime"] == regime]
        parts.append(f"## Accuracy against budget, {regime}\n\n{_about(mine)}{AGAINST_V2}\n")
        for group, title in GROUPS.items():
            chosen = [row for row in mine if row["group"] == group]
            if chosen:
                table = _table(chosen, ("method", "options", "budget"), _against_v2)
                parts.append(f"### {title}\n\n{table}")
    return "\n".join([*parts, *_over_runs(rows)])


def ablation_table(rows: Sequence[Row]) -> str:
    """The ablation rows: exact match, and the paired difference to the reference in points."""
    parts = [
        f"## Ablations\n\n{_about(rows)}Differences are in points, on the same questions; `=` is the reference. "
        "Nats: validation NLL per token, where it was measured.\n"
    ]
    for regime, ablation in dict.fromkeys((row["regime"], row["ablation"]) for row in rows):
        chosen = [row for row in rows if (row["regime"], row["ablation"]) == (regime, ablation)]
        table = _table(chosen, ("variant", "budget"), _against_reference)
        notes = "".join(f"- {note}\n" for note in _notes(chosen))
        parts.append(f"### {ablation} ({regime})\n\n{table}" + (f"\n{notes}" if notes else ""))
    return "\n".join(parts)


def kinds_table(rows: Sequence[Row]) -> str:
    """The rows by what the answer stands in, one table per regime."""
    pages = " or ".join(str(number) for number in sorted({row["pages"] for row in rows}))
    asked = f"{pages} pages a tier, every kind as likely to be a page's largest block; after each score its questions."
    parts = [f"## Accuracy by what the answer stands in\n\n{SCORE} {asked}\n"]
    for regime in dict.fromkeys(row["regime"] for row in rows):
        mine = [row for row in rows if row["regime"] == regime]
        table = _table(mine, ("stands_in", "method", "budget"), lambda row: f"{_score(row)} of {row['questions']}")
        parts.append(f"### {regime}\n\n{table}")
    return "\n".join(parts)


def _over_runs(rows: Sequence[Row]) -> list[str]:
    """A table for every regime that was trained from several seeds; only of lines that all its runs measured alike."""
    parts = []
    for regime in dict.fromkeys(_trained(row) for row in rows):
        mine = [row for row in rows if _trained(row) == regime]
        runs = len({row["regime"] for row in mine})
        if means := _means(mine, runs) if runs > 1 else ():
            table = _table(means, ("method", "options", "budget"), _score)
            about = f"Mean exact match [lowest, highest] of {runs} models trained from different seeds, same pages."
            parts.append(f"## Over training seeds, {regime}\n\n{about}\n\n{table}")
        elif runs > 1:
            parts.append(f"No means over training seeds, {regime}: {runs} models share no line on the same pages.\n")
    return parts


def _trained(row: Row) -> str:
    return str(row["regime"]).partition(SEED)[0]


def _means(rows: Sequence[Row], runs: int) -> list[Row]:
    """One row for each tier and variant that every run has, on the same pages."""
    alike: dict[str, list[Row]] = {}
    for row in rows:
        line = (row["tier"], row["group"], row["method"], _text(row["options"]), row["budget"])
        key = (*line, *(row[name] for name in SAME_PAGES))
        alike.setdefault(repr(key), []).append(row)
    found = [(mine, [row["exact_match"] for row in mine]) for mine in alike.values() if len(mine) == runs]
    return [{**mine[0], **_averages(mine), "low": min(scores), "high": max(scores)} for mine, scores in found]


def _averages(rows: Sequence[Row]) -> dict[str, float]:
    names = [name for name in ("exact_match", *AVERAGED) if rows[0].get(name) is not None]
    return {name: sum(row[name] for row in rows) / len(rows) for name in names}


def _about(rows: Sequence[Row]) -> str:
    counts = sorted({(row["tier"], row["pages"], row["questions"]) for row in rows})
    asked = "; ".join(f"{tier}: {questions} questions on {pages} pages" for tier, pages, questions in counts)
    return (
        f"{SCORE} {asked}. Tokens are visual entries of the prefix. "
        "Value kept: share of the asked values' characters whose patch is among the kept tokens, per tier.\n\n"
    )


def _table(rows: Sequence[Row], names: Sequence[str], cell: Callable[[Row], str]) -> str:
    tiers = list(dict.fromkeys(row["tier"] for row in rows))
    shown = [name for name in names if any(row[name] not in (None, {}) for row in rows)]
    lines = [f"| {' | '.join([*shown, *COUNTS, *tiers])} |", "|" + "---|" * (len(shown) + len(COUNTS) + len(tiers))]
    by_line: dict[str, dict[str, Row]] = {}
    for row in rows:
        by_line.setdefault(" | ".join(_text(row[name]) for name in shown), {})[row["tier"]] = row
    for start, here in by_line.items():
        means = (
            f"{sum(row[count] for row in here.values()) / len(here):.4g}" for count in ("kept_tokens", "visual_tokens")
        )
        recall = " / ".join(_recall(here[tier]) if tier in here else "–" for tier in tiers)
        cells = (cell(here[tier]) if tier in here else "–" for tier in tiers)
        lines.append(f"| {start} | {' | '.join([*means, recall, *cells])} |")
    return "\n".join(lines) + "\n"


def _recall(row: Row) -> str:
    recall = row.get("value_recall")
    return "–" if recall is None else f"{recall:.2f}"


def _text(value: object) -> str:
    if isinstance(value, float):
        return str(Fraction(value).limit_denominator(100))
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {setting}" for name, setting in value.items())
    return "all" if value is None else str(value)


def _score(row: Row) -> str:
    return f"{row['exact_match']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"


def _against_v2(row: Row) -> str:
    if "vs_v2" not in row:
        return _score(row)
    return f"{_score(row)} {'=' if row['method'] == 'v2' else _points(row, 'vs_v2')}"


def _against_reference(row: Row) -> str:
    nll = f" · {row['nll']:.2f} nats" if "nll" in row else ""
    return f"{_score(row)}{nll} {'=' if row['variant'] == row['reference'] else _points(row, 'difference')}"


def _points(row: Row, name: str) -> str:
    change, low, high = (100 * row[key] for key in (name, f"{name}_low", f"{name}_high"))
    return f"({change:+.1f} [{low:+.1f}, {high:+.1f}])"


def _notes(rows: Sequence[Row]) -> list[str]:
    by_note: dict[str, list[str]] = {}
    for row in rows:
        if row["note"]:
            by_note.setdefault(row["note"], []).append(row["variant"])
    return [f"{'; '.join(dict.fromkeys(variants))}: {note}." for note, variants in by_note.items()]
