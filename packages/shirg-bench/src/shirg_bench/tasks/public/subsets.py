"""Parts of public data sets, chosen by rule."""

from __future__ import annotations

import ast

from datasets import Dataset

TINY = 100
READING = frozenset(
    {
        "Advertisements",
        "Historical Timelines",
        "Mathematical Notations",
        "Plots and Charts",
        "Poster",
        "Screenshots",
        "Tables",
    }
)
"""Of MMMU's kinds of image, those whose content is print."""


def tiny(documents: Dataset) -> Dataset:
    """`TINY` documents, evenly spaced, so that both halves of ChartQA's test split are among them."""
    count = len(documents)
    return documents if count <= TINY else documents.select([i * count // TINY for i in range(TINY)])


def reading(documents: Dataset) -> Dataset:
    """MMMU's questions whose images are all of kinds in `READING`.

    Raises:
        ValueError: data without MMMU's column `img_type`.
    """
    if "img_type" not in documents.column_names:
        raise ValueError(f"MMMU's column 'img_type' is missing; there are {', '.join(documents.column_names)}")
    kinds = [frozenset(ast.literal_eval(text)) for text in documents["img_type"]]
    return documents.select([i for i, kind in enumerate(kinds) if kind and kind <= READING])
