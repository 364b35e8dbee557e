"""Recognising the weights that an adapter was trained on, by two numbers per linear: `‖w‖` and `Σ_i w_i cos i`.

They are recorded in `shirg.json` beside an adapter, for all of the projector and for whatever else the adapter changes,
and compared with a tolerance, because dtypes round.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from shirg_core.files import read_json
from shirg_lavida.checkpoint.load import checkpoint_keys
from shirg_lavida.model import LavidaModel

CARD_FILE = "shirg.json"
TOLERANCE = 1e-2
"""Of the norm: well above bfloat16's rounding, well below another model's difference."""
SAMPLED = 2**16
"""Entries that stand for a matrix outside the projector, of which a released model adapts hundreds."""


def fingerprint(model: LavidaModel) -> list[list[float]]:
    """`[norm, wave]` of every linear of the projector, in float64 on the CPU."""
    return [_mark(layer.weight) for layer in model.projector.modules() if isinstance(layer, nn.Linear)]


def linear_marks(model: LavidaModel, linears: Iterable[str]) -> dict[str, list[float]]:
    """`[norm, wave]` of `SAMPLED` evenly spaced weights of each of `linears`, named as in the released model."""
    names, parameters = checkpoint_keys(model), dict(model.named_parameters())
    return {linear: _mark(_sampled(parameters[names[f"{linear}.weight"]])) for linear in linears}


def weights_digest(model: nn.Module) -> str:
    """SHA-256 over `SAMPLED` evenly spaced values of every weight: seconds less than over all of a large model's.

    Training changes nearly every value of what it changes, a merged LoRA too.
    """
    sha = hashlib.sha256()
    for name, weight in model.state_dict().items():
        sha.update(f"{name} {weight.dtype} {list(weight.shape)}\n".encode())
        sha.update(_sampled(weight).cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return sha.hexdigest()


def check_fingerprint(model: LavidaModel, folder: Path) -> None:
    """Whether the adapter in `folder` was trained on this model's projector, and on the other linears that it changes.

    Raises:
        ValueError: it was not, or its card is damaged.
    """
    card = read_json(folder / CARD_FILE, "the adapter's card")
    recorded, linears = card.get("fingerprint"), card.get("linears", {})
    here = fingerprint(model)
    if not isinstance(recorded, list) or not all(map(_is_mark, recorded)):
        raise ValueError(f"{folder / CARD_FILE} has no fingerprint: expected [[norm, wave], …], got {recorded!r}")
    if not isinstance(linears, Mapping) or not all(map(_is_mark, linears.values())):
        raise ValueError(f"{folder / CARD_FILE}: linears must be {{name: [norm, wave], …}}, got {linears!r}")
    if len(recorded) != len(here) or not all(map(_alike, recorded, here)):
        raise ValueError(f"the adapter in {folder} was trained on a model with other projector weights than this one")
    for name, mark in linear_marks(model, linears).items():
        if not _alike(linears[name], mark):
            raise ValueError(f"the adapter in {folder} was trained on a model with another {name} than this one's")


def _mark(weight: Tensor) -> list[float]:
    flat = weight.detach().double().cpu().flatten()
    wave = torch.cos(torch.arange(len(flat), dtype=torch.float64))
    return [float(flat.norm()), float(flat @ wave)]


def _sampled(weight: Tensor) -> Tensor:
    return weight.detach().flatten()[:: max(1, weight.numel() // SAMPLED)]


def _is_mark(mark: Any) -> bool:
    return isinstance(mark, list) and len(mark) == 2


def _alike(recorded: list[float], here: list[float]) -> bool:
    return all(abs(then - now) <= TOLERANCE * here[0] for then, now in zip(recorded, here, strict=True))
