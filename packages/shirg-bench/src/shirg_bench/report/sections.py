"""From results to the report's sections. What a section needs and cannot find is named in it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from shirg_bench.plots import ablation_forest, budget_curves, cache_cost, speed_accuracy
from shirg_bench.plots.speed import EMBEDDED, matched
from shirg_bench.report.page import Picture, Section
from shirg_bench.results.costs import autoregressive_tables, latency_tables, selection_tables
from shirg_bench.results.rows import Row, read_rows
from shirg_bench.results.scores import score_tables
from shirg_bench.results.table import Table
from shirg_bench.results.words import SEED, ordered, setting_words

ACCURACY, KINDS = "accuracy_budget.jsonl", "accuracy_kinds.jsonl"
ABLATIONS, LATENCY, PAGES = "ablations.jsonl", "latency_cpu.jsonl", "pages.jsonl"
MADE_BY = {
    ACCURACY: "shirg ablate --what budget",
    KINDS: "shirg ablate --what kinds",
    ABLATIONS: "shirg ablate",
    LATENCY: "shirg bench --what latency,memory",
    PAGES: "shirg pages --reader",
}
EVERY_ROW = ("kind", "command", "seed", "hardware", "versions")
"""Keys that every row of these files has."""
FROZEN = "frozen tower"
"""The regime of the embedded model that is timed."""


class Results(NamedTuple):
    """What a folder of results holds.

    Attributes:
        folder: where.
        rows: by file name; a file that is not there has none.
    """

    folder: Path
    rows: Mapping[str, Sequence[Row]]

    @classmethod
    def read(cls, folder: Path) -> Results:
        """Read the files that the report shows.

        Raises:
            ValueError: a damaged file, or a row that does not say what it is.
        """
        there = {name: folder / name for name in MADE_BY if (folder / name).is_file()}
        rows = {name: read_rows(path) for name, path in there.items()}
        for name, mine in rows.items():
            for number, row in enumerate(mine, start=1):
                if lacking := [key for key in EVERY_ROW if key not in row]:
                    raise ValueError(f"{there[name]}, line {number}: the row has no {', '.join(lacking)}")
        return cls(folder, rows)

    def missing(self, *names: str) -> list[str]:
        """A sentence for each file that is not there or empty."""
        return [
            f"No rows of `{name}` in the results folder; `{MADE_BY[name]}` makes them."
            for name in names
            if not self.rows.get(name)
        ]

    def of(self, name: str, kind: str) -> Sequence[Row]:
        """Rows of one kind of a file, none where it is not there."""
        return [row for row in self.rows.get(name, ()) if row["kind"] == kind]


def accuracy_section(results: Results) -> Section:
    """Budget curves, their table, and speed against accuracy."""
    rows, times = results.of(ACCURACY, "accuracy"), results.of(LATENCY, "latency")
    pictures, missing = [], results.missing(ACCURACY, KINDS)
    if rows:
        caption = "Exact match against visual tokens; bars are 95 % intervals, the dashed line is all tokens."
        first_seed = [row for row in rows if SEED not in row["regime"]]
        pictures.append(Picture("budget", caption, budget_curves(first_seed)))
    if rows and matched([row for row in rows if row["regime"] == FROZEN], times):
        caption = "Time of an answer against exact match, the same weights."
        pictures.append(Picture("speed", caption, speed_accuracy(rows, times, FROZEN)))
    else:
        missing.append(
            f"No curve of speed and accuracy: it needs accuracy rows of {FROZEN!r} and cached times of those methods, "
            f"which `{MADE_BY[LATENCY]} --model {EMBEDDED}` measures."
        )
    text = ["The embedded model answers questions about unseen synthetic pages; every method sees the same ones."]
    tables = [*score_tables("accuracy", rows), *score_tables("kinds", results.of(KINDS, "kinds"))]
    return Section("Accuracy against budget", text, missing, pictures, tables)


def ablation_section(results: Results) -> Section:
    """A forest plot per regime, and the tables."""
    rows = results.of(ABLATIONS, "ablation")
    pictures = []
    for number, regime in enumerate(ordered(rows, "regime")):
        mine = [row for row in rows if row["regime"] == regime]
        if any(row["variant"] != row["reference"] for row in mine):
            caption = f"Paired differences to each reference with 95 % intervals, {regime}; scales differ."
            pictures.append(Picture(f"ablations{number or ''}", caption, ablation_forest(mine)))
    text = ["Each variant is compared with its reference on the same questions; pages are resampled as pairs."]
    return Section("Ablations", text, results.missing(ABLATIONS), pictures, score_tables("ablation", rows))


def latency_section(results: Results) -> Section:
    """A plot per model, dtype and length of the answer, and the tables."""
    rows = results.of(LATENCY, "latency")
    pictures: list[Picture] = []
    for setting in dict.fromkeys(setting_words(row) for row in rows):
        mine = [row for row in rows if setting_words(row) == setting]
        if any(row["cache"] and row["step_ms"] is not None for row in mine):
            caption = f"Bytes of the prefix cache against time of a step, and what the cache saves: {setting}."
            name = _file_name(f"cost-{mine[0]['model']}", pictures)
            pictures.append(Picture(name, caption, cache_cost(mine)))
    text = ["Times hold for the hardware named; ratios are of rounds that ran in turn."]
    tables = [
        *latency_tables(rows),
        *autoregressive_tables(results.of(LATENCY, "autoregressive")),
        *selection_tables(results.of(LATENCY, "selection")),
    ]
    return Section("Latency and memory", text, results.missing(LATENCY), pictures, tables)


def _file_name(words: str, taken: Sequence[Picture]) -> str:
    """`words` as a file's name that no other picture has: a model's may be a path."""
    name = re.sub(r"[^\w.-]+", "-", words)
    again = sum(picture.name == name or picture.name.startswith(f"{name}--") for picture in taken)
    return f"{name}--{again + 1}" if again else name


def origin_section(results: Results) -> Section:
    """Where the numbers come from: command, seed, hardware and versions of every file."""
    lines = []
    for name, rows in results.rows.items():
        for command in ordered(rows, "command"):
            mine = [row for row in rows if row["command"] == command]
            versions = ", ".join(f"{package} {number}" for package, number in mine[0]["versions"].items())
            facts = str(mine[0]["hardware"]), versions
            lines.append((f"`{name}`", str(len(mine)), f"`{command}`", str(mine[0]["seed"]), *facts))
    header = ("file", "rows", "command", "seed", "hardware", "versions")
    return Section("Where the numbers come from", tables=[Table("Results files", header, lines)] if lines else [])
