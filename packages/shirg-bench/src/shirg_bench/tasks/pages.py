"""`process_docs` and `doc_to_…` of the tasks: a table's questions with their pages drawn."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import Any

from datasets import Dataset, Features, Image
from PIL import Image as Pillow

from shirg_bench.tasks.draw import draw
from shirg_bench.tasks.spec import TASKS

GREY_TOLERANCE = 0.005
"""Textures come out of transcendental functions, whose last bits differ between processors; a glyph is more."""


def with_pages(table: Dataset) -> Dataset:
    """A table from `build` with a column `image`.

    Raises:
        ValueError: a page is drawn differently than recorded in the table.
    """
    columns: dict[str, list[Any]] = {name: list(table[name]) for name in table.column_names}
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    columns["image"] = [{"bytes": _png(page_of(row)), "path": None} for row in rows]
    return Dataset.from_dict(columns, features=Features({**table.features, "image": Image()}))


def page_of(row: Mapping[str, Any]) -> Pillow.Image:
    """Draw the page of one row.

    Raises:
        ValueError: the page is drawn differently than recorded in the row.
    """
    page = draw(TASKS[row["task"]], row["tier"], row["print_size"], row["kind"], row["seed"])
    drawn: dict[str, Any] = {"kind": page.kind, "face": page.face, "question": page.question, "answer": page.answer}
    differing = {name: (row[name], now) for name, now in drawn.items() if row[name] != now}
    grey = float(page.image.mean())
    if abs(grey - row["mean_grey"]) > GREY_TOLERANCE:
        differing["mean_grey"] = (row["mean_grey"], grey)
    if differing:
        raise ValueError(
            f"page {row['seed']} of {row['task']} is not the one its table was made of (table, drawn): {differing}; "
            "the page generator has changed, so rebuild the tables with shirg_bench.tasks.build.build"
        )
    return Pillow.fromarray(page.image)


def _png(page: Pillow.Image) -> bytes:
    # Left to itself, `datasets` spends longer compressing noise than it takes to draw it.
    buffer = BytesIO()
    page.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def image(doc: Mapping[str, Any]) -> list[Pillow.Image]:
    """`doc_to_visual`."""
    return [doc["image"].convert("RGB")]


def question(doc: Mapping[str, Any], wording: Mapping[str, str]) -> str:
    """`doc_to_text`."""
    return f"{wording['pre_prompt']}{doc['question']}{wording['post_prompt']}"
