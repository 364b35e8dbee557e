"""Which model answers: a folder, an embedded model, or a hub id."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import torch

from shirg_core.cli.errors import BadInput, bad_input
from shirg_core.files import read_json
from shirg_lavida.checkpoint.embedded import DEFAULT
from shirg_lavida.checkpoint.locate import locate
from shirg_lavida.checkpoint.recommended import Recommended
from shirg_lavida.checkpoint.weights import DTYPES
from shirg_lavida.cli.paths import adapter_folder, model_location
from shirg_lavida.pipeline import LavidaPipeline
from shirg_lavida.prompt.join import Positions


def load_pipeline(
    model: str | None,
    adapter: Path | None,
    device: str | None,
    dtype: str | None,
    positions: str | None = None,
    vision_tower: str | None = None,
    *,
    default: str = DEFAULT,
) -> LavidaPipeline:
    """Load what the user named.

    Args:
        model: see `model_location`.
        adapter: folder of a LoRA or an embedded one's name, merged into the weights.
        device: as torch spells it; None = a GPU if there is one.
        dtype: a key of `DTYPES`; None = the checkpoint's.
        vision_tower: a folder or hub id, see `load_lavida`.
        positions: see `shirg_lavida.vision.reading_order`; None = those the adapter was trained on, else `packed`.
        default: see `model_location`.

    Raises:
        BadInput: whatever of these cannot be used.
    """
    weights = parse_dtype(dtype)
    if positions is not None and positions not in get_args(Positions):
        raise BadInput(f"--positions must be one of {', '.join(get_args(Positions))}, got {positions!r}")
    options: dict[str, Any] = {} if positions is None else {"positions": positions}
    where = parse_device(device)
    location = model_location(model, default)
    if adapter is not None:
        adapter = adapter_folder(adapter)
    if vision_tower is not None:
        options["vision_tower"] = vision_tower
    with bad_input(OSError, ValueError):
        return LavidaPipeline.from_pretrained(location, dtype=weights, device=where, adapter=adapter, **options)


def read_recommended(model: str | None, default: str = DEFAULT) -> Recommended:
    """What a model recommends for itself; no weights are read, nor downloaded.

    Args:
        model: as in `model_location`.
        default: as there.

    Raises:
        BadInput: it cannot be read, or recommends something invalid.
    """
    with bad_input(OSError, ValueError):
        folder = locate(model_location(model, default), Path(), weights=False)
        return Recommended.from_checkpoint(read_json(folder / "config.json", "not a LaViDa checkpoint"))


def parse_dtype(name: str | None) -> torch.dtype | None:
    """A dtype of weights; None = the model's own.

    Raises:
        BadInput: not a key of `DTYPES`.
    """
    if name is not None and name not in DTYPES:
        raise BadInput(f"--dtype must be one of {', '.join(DTYPES)}, got {name!r}")
    return None if name is None else DTYPES[name]


def parse_device(name: str | None) -> torch.device:
    """A device that is there; None = a GPU if there is one.

    Raises:
        BadInput: unknown, not there, or `meta`, which holds no values.
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, ImportError) as error:
        # What torch goes on to say may be a list of all its backends.
        sentence = re.split(r"\.?\s*\n|\. ", str(error), maxsplit=1)[0]
        raise BadInput(f"--device {name}: {sentence}") from error
    if device.type == "meta":
        raise BadInput("--device meta: tensors there have no values")
    return device
