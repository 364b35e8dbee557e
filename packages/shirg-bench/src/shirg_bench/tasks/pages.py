"""`doc_to_…` of the tasks: a row's page, drawn when it is asked for, and its question."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from PIL import Image

from shirg_bench.tasks.draw import draw
from shirg_bench.tasks.spec import TASKS

GREY_TOLERANCE = 0.005
"""Textures come out of transcendental functions, whose last bits differ between processors; a glyph is more."""
DRAWN = 256
"""Pages kept for their next question: as many as the largest table has."""


def page_of(row: Mapping[str, Any]) -> Image.Image:
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
    return Image.fromarray(page.image)


def image(doc: Mapping[str, Any]) -> list[Image.Image]:
    """`doc_to_visual`."""
    return [_drawn(tuple(doc.items()))]


@lru_cache(maxsize=DRAWN)
def _drawn(row: tuple[tuple[str, Any], ...]) -> Image.Image:
    return page_of(dict(row)).convert("RGB")


def question(doc: Mapping[str, Any], wording: Mapping[str, str]) -> str:
    """`doc_to_text`."""
    return f"{wording['pre_prompt']}{doc['question']}{wording['post_prompt']}"
