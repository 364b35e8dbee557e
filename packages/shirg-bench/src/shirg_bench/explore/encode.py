"""What was explored, as the page's data: JSON, gzipped, in base64. A test reads it back with `decode`.

Tokens are kept as bits, eight to a byte, first token first. Arrays that several budgets share are stored once, in
`arrays`, and named by their number: scores and ranks do not depend on the budget, regions do.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shirg_bench.explore.explored import ExploredImage, MethodRuns, Run
from shirg_bench.explore.record import ranks
from shirg_core.layout import ViewLayout

SCHEMA = "shirg.explore/1"
Store = Callable[[NDArray[Any]], int]


def encode(content: Mapping[str, Any]) -> str:
    """The text of the page's data element."""
    plain = json.dumps(content, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    # No time in the header: the same input gives the same page.
    return base64.b64encode(gzip.compress(plain.encode(), mtime=0)).decode("ascii")


def decode(text: str) -> dict[str, Any]:
    """What `encode` was given."""
    content: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(text)))
    return content


def as_json(images: Sequence[ExploredImage], budgets: Sequence[str], start: int) -> dict[str, Any]:
    """Everything but the pixels, in JSON's types.

    `budgets` are the slider's labels, of which `start` is shown first.
    """
    return {"schema": SCHEMA, "budgets": list(budgets), "start": start, "images": [_image(each) for each in images]}


def bits(flags: NDArray[np.bool_]) -> str:
    """`[N]` → base64."""
    return base64.b64encode(np.packbits(flags).tobytes()).decode("ascii")


def _image(image: ExploredImage) -> dict[str, Any]:
    layouts = list(dict.fromkeys(each.layout for each in image.methods))
    arrays: dict[bytes, int] = {}
    stored: list[list[int | float]] = []

    def store(values: NDArray[Any]) -> int:
        key = values.dtype.str.encode() + values.tobytes()
        if key not in arrays:
            arrays[key] = len(stored)
            stored.append([float(f"{value:.4g}") if isinstance(value, float) else value for value in values.tolist()])
        return arrays[key]

    return {
        "name": image.name,
        "size": list(image.image.size),
        "model": image.model,
        "question": image.question,
        "expected": image.expected,
        "notes": list(image.notes),
        "lines": list(image.lines),
        "layouts": [_layout(layout) for layout in layouts],
        "methods": [_method(each, layouts.index(each.layout), store) for each in image.methods],
        "arrays": stored,
    }


def _layout(layout: ViewLayout) -> list[dict[str, Any]]:
    valid = layout.valid_mask().numpy()
    parts = zip(layout.views, layout.starts, strict=True)
    return [
        {
            "grid": [view.h, view.w],
            "box": [round(edge, 6) for edge in view.box],
            "valid": None if view.valid is None else bits(valid[start : start + view.n_tokens]),
        }
        for view, start in parts
    ]


def _method(runs: MethodRuns, layout: int, store: Store) -> dict[str, Any]:
    method = runs.method
    return {
        "name": method.name,
        "about": method.about,
        "keeps": method.keeps,
        "merges": method.merges,
        "layout": layout,
        "terms": [
            {"name": name, "weight": weight, "values": store(np.rint(values * 1000).astype(np.int64))}
            for name, (weight, values) in runs.terms.items()
        ],
        "runs": [_run(run, runs.layout, store) for run in runs.runs],
    }


def _run(run: Run, layout: ViewLayout, store: Store) -> dict[str, Any]:
    reply = run.reply
    return {
        "k": int(run.kept.sum()),
        "kept": bits(run.kept),
        "scores": None if run.scores is None else store(run.scores),
        "ranks": None if run.scores is None else store(ranks(run.scores, layout)),
        "regions": None if run.regions is None else store(run.regions),
        "ink": None if run.ink_recall is None else round(run.ink_recall, 4),
        "read": None if run.read is None else [int(read) for read in run.read],
        "reply": None
        if reply is None
        else {
            "text": reply.text,
            "confidence": round(reply.confidence, 4),
            "mean": round(reply.mean, 4),
            "right": reply.right,
            "tokens": reply.visual_tokens,
            "steps": list(reply.steps),
        },
    }
