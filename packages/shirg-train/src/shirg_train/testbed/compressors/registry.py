"""Building, saving and loading learned compressors."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from shirg_core.files import atomic_path
from shirg_core.precision import default_dtype
from shirg_lavida.model import LavidaModel
from shirg_train.testbed.compressors.config import PLACES
from shirg_train.testbed.compressors.contract import Compressor

FILE = "compressor.safetensors"


def build_compressor(method: str, model: LavidaModel, seed: int) -> Compressor:
    """A compressor with fresh float32 weights; the same seed gives the same weights."""
    module, _, name = PLACES[method].partition(":")
    kind: type[Compressor] = getattr(import_module(f"shirg_train.testbed.compressors.{module}"), name)
    with torch.random.fork_rng(devices=[]), default_dtype(torch.float32):
        torch.manual_seed(seed)
        return kind(model)


def save_compressor(compressor: Compressor, folder: Path) -> None:
    """Write its weights in bfloat16, as the checkpoint's are.

    Raises:
        OSError: they cannot be written.
    """
    weights = {name: value.to(torch.bfloat16).contiguous() for name, value in compressor.state_dict().items()}
    with atomic_path(folder / FILE) as temporary:
        save_file(weights, temporary, metadata={"method": compressor.method})


def load_compressor(folder: Path, model: LavidaModel) -> Compressor | None:
    """A checkpoint's compressor in float32, frozen; None if it has none.

    Raises:
        ValueError: a file that holds no compressor of this model's shape.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    with safe_open(path, "pt") as file:
        method = (file.metadata() or {}).get("method")
        if method not in PLACES:
            raise ValueError(f"{path} must name one of {', '.join(PLACES)} as its method, got {method!r}")
        weights = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118  # it is no mapping
    compressor = build_compressor(method, model, 0).eval().requires_grad_(requires_grad=False)
    try:
        compressor.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(f"{path} holds no {method} of this model's shape: {error}") from error
    return compressor
