"""Options that several commands have, each described once. Cheap to import: typer is all it needs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

OWN = "the model's own"
"""A default that `--help` shows where the checkpoint decides."""

Adapter: TypeAlias = Annotated[
    Path | None, typer.Option(help="LoRA: a folder in peft's format, micro-lora or micro-lora-language.")
]
Budget: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="Visual tokens to keep: a count, 0.25, 1/4 or 25%; auto or auto:0.08-0.5 lets the model choose.",
        show_default=OWN,
    ),
]
Device: TypeAlias = Annotated[str | None, typer.Option(help="cpu, cuda, …", show_default="a GPU if there is one")]
Dtype: TypeAlias = Annotated[
    str | None, typer.Option(help="float32, bfloat16 or float16.", show_default="the checkpoint's")
]
Later: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="NAME=VALUE,…",
        help="Options of a method that chooses again while decoding: wider, steps, layers, static of rerank; "
        "swap, at, read, layers, static of two-stage.",
        show_default="the method's own",
    ),
]
Method: TypeAlias = Annotated[str | None, typer.Option(help="A name that `shirg methods` lists.", show_default=OWN)]
Model: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="Folder or hub id of a checkpoint, or an embedded model: micro-joint, micro, micro-full.",
        show_default="micro-joint",
    ),
]
Positions: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="packed, or original: kept tokens stay as far apart as they were.",
        show_default="the adapter's, or packed",
    ),
]
Tower: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="Folder or hub id of the SigLIP tower, where the checkpoint's own mm_vision_tower is not there.",
        show_default="the checkpoint's",
    ),
]
Views: TypeAlias = Annotated[
    str | None,
    typer.Option(help="How an image is cut: anyres, anyres_full, pooled_base, single or single384.", show_default=OWN),
]
