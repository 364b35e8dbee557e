"""Recognising the projector that an adapter was trained on, by two numbers per linear: `‖w‖` and `Σ_i w_i cos i`.

They are recorded in `shirg.json` beside an adapter and compared with a tolerance, because dtypes round.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from shirg_lavida.model import LavidaModel
from shirg_lavida.weights import read_json

CARD_FILE = "shirg.json"
TOLERANCE = 1e-2
"""Of the norm: well above bfloat16's rounding, well below another projector's difference."""


def fingerprint(model: LavidaModel) -> list[list[float]]:
    """`[norm, wave]` of every linear of the projector, in float64 on the CPU."""
    marks = []
    for layer in model.projector.modules():
        if isinstance(layer, nn.Linear):
            weight = layer.weight.detach().double().cpu().flatten()
            wave = torch.cos(torch.arange(len(weight), dtype=torch.float64))
            marks.append([float(weight.norm()), float(weight @ wave)])
    return marks


def check_fingerprint(model: LavidaModel, folder: Path) -> None:
    """Whether the adapter in `folder` was trained on this model's projector.

    Raises:
        ValueError: it was not, or its card is damaged.
    """
    recorded = read_json(folder / CARD_FILE, "the adapter's card").get("fingerprint")
    here = fingerprint(model)
    if not isinstance(recorded, list) or not all(isinstance(mark, list) and len(mark) == 2 for mark in recorded):
        raise ValueError(f"{folder / CARD_FILE} has no fingerprint: expected [[norm, wave], …], got {recorded!r}")
    if len(recorded) != len(here) or not all(
        abs(then - now) <= TOLERANCE * mark[0]
        for mark, mine in zip(recorded, here, strict=True)
        for then, now in zip(mark, mine, strict=True)
    ):
        raise ValueError(f"the adapter in {folder} was trained on a model with other projector weights than this one")
