"""Which model answers: a folder or hub id, or one that an installed package embeds.

A package embeds a model by an entry point in the group `shirg.models`: its name is what `--model` takes, its value a
function without arguments that returns the checkpoint's folder. The one named `micro` is asked when none is named.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path

import torch

from shirg_core.cli.errors import BadInput, bad_input
from shirg_lavida.pipeline import LavidaPipeline

ENTRY_POINT_GROUP = "shirg.models"
DEFAULT = "micro"
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def default_model() -> Path:
    """The folder of the embedded model.

    Raises:
        BadInput: no installed package embeds one.
    """
    folder = embedded_model(DEFAULT)
    if folder is None:
        raise BadInput("no --model given: the embedded model comes with the training package, shirg-train")
    return folder


def embedded_model(name: str) -> Path | None:
    """The folder of a model that an installed package embeds under `name`; None if there is none.

    Raises:
        BadInput: there is one, and it cannot be had.
    """
    found = entry_points(group=ENTRY_POINT_GROUP, name=name)
    if not found:
        return None
    with bad_input(ImportError, AttributeError, OSError, ValueError, prefix=f"the embedded model {name!r}: "):
        return Path(next(iter(found)).load()())


def load_pipeline(model: str | None, adapter: Path | None, device: str | None, dtype: str | None) -> LavidaPipeline:
    """Load what the user named.

    Args:
        model: a folder, an embedded model's name, or a hub id; a folder wins.
        adapter: folder of a LoRA, merged into the weights.
        device: as torch spells it; None = a GPU if there is one.
        dtype: a key of `DTYPES`; None = the checkpoint's.

    Raises:
        BadInput: whatever of these cannot be used.
    """
    if dtype is not None and dtype not in DTYPES:
        raise BadInput(f"--dtype must be one of {', '.join(DTYPES)}, got {dtype!r}")
    where = _device(device)
    location = default_model() if model is None else _named_model(model)
    with bad_input(OSError, ValueError):
        return LavidaPipeline.from_pretrained(
            location, dtype=None if dtype is None else DTYPES[dtype], device=where, adapter=adapter
        )


def _named_model(model: str) -> Path | str:
    return model if Path(model).exists() else embedded_model(model) or model


def _device(name: str | None) -> torch.device:
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with bad_input(RuntimeError, AssertionError, prefix=f"--device {name}: "):
        device = torch.device(name)
        torch.empty(0, device=device)
    return device
