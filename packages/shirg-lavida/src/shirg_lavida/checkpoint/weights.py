"""Where each weight of a checkpoint lies, what it is called here, and reading them one at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from shirg_core.files import lfs_pointer, read_json

INDEX_FILE = "model.safetensors.index.json"
WEIGHTS_FILE = "model.safetensors"
FLOAT_DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
"""What commands and evaluations may ask weights to be, by name."""


class Stored(NamedTuple):
    """One weight in a safetensors file.

    Attributes:
        file: the file.
        key: its name in there.
        shape: its shape.
        dtype: its dtype as safetensors names it.
    """

    file: Path
    key: str
    shape: tuple[int, ...]
    dtype: str


def stored_weights(folder: Path) -> dict[str, Stored]:
    """Every weight of a folder's safetensors files by name; only headers are read.

    Raises:
        FileNotFoundError: no weights, or a shard that the index names is missing.
        ValueError: a damaged file, or shards that do not hold what the index says.
    """
    if not (folder / INDEX_FILE).is_file():
        if not (folder / WEIGHTS_FILE).is_file():
            raise FileNotFoundError(f"{folder} holds neither {WEIGHTS_FILE} nor {INDEX_FILE}")
        return _header(folder / WEIGHTS_FILE)
    weight_map = read_json(folder / INDEX_FILE, "sharded checkpoint").get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise ValueError(f"{folder / INDEX_FILE} has no weight_map")
    found: dict[str, Stored] = {}
    for name in sorted(set(weight_map.values())):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{INDEX_FILE} names the shard {name}, which is not in {folder}")
        found |= _header(folder / name)
    misplaced = [key for key, name in weight_map.items() if key not in found or found[key].file.name != name]
    if misplaced or len(found) != len(weight_map):
        wrong = misplaced or sorted(found.keys() - weight_map.keys())
        raise ValueError(f"{folder / INDEX_FILE} and its shards disagree about {shorten(wrong)}")
    return found


def _header(file: Path) -> dict[str, Stored]:
    try:
        with safe_open(file, framework="pt") as opened:
            slices = {key: opened.get_slice(key) for key in opened.keys()}  # noqa: SIM118 — not a mapping
            return {k: Stored(file, k, tuple(s.get_shape()), s.get_dtype()) for k, s in slices.items()}
    except SafetensorError as error:
        raise ValueError(lfs_pointer(file) or f"{file} is damaged or truncated: {error}") from error


def shorten(names: Sequence[str], limit: int = 4) -> str:
    """The first few names and how many there are in all."""
    return ", ".join(names[:limit]) + (f", … ({len(names)} in all)" if len(names) > limit else "")


def check_match(stored: Mapping[str, Stored], names: Mapping[str, str], shapes: Mapping[str, torch.Size]) -> None:
    """Every weight is there, none is left over, and all have the model's shapes.

    Raises:
        ValueError: a missing, extra or misshapen weight, or one that is not floating point.
    """
    if missing := [key for key in names if key not in stored]:
        raise ValueError(f"the checkpoint lacks {shorten(missing)}")
    if extra := [key for key in stored if key not in names]:
        raise ValueError(f"the checkpoint holds weights this model has no place for: {shorten(extra)}")
    for key, weight in stored.items():
        expected = tuple(shapes[names[key]])
        if weight.shape != expected:
            raise ValueError(f"{key} has shape {list(weight.shape)}, but the config asks for {list(expected)}")
        if weight.dtype not in FLOAT_DTYPES:
            raise ValueError(f"{key} is stored as {weight.dtype}; expected one of {', '.join(FLOAT_DTYPES)}")


def drop_tied(stored: Mapping[str, Stored], key: str, twin: str) -> dict[str, Stored]:
    """`stored` without `key`, a tied weight that some writers store again beside its `twin`.

    Raises:
        ValueError: it is not the same weight; one of checkpoint and config is wrong, and this cannot tell which.
    """
    pair = {name: stored[name] for name in (key, twin) if name in stored}
    if len(pair) == 2:
        same = pair[key].shape == pair[twin].shape and pair[key].dtype == pair[twin].dtype
        if same:
            tensors = dict(read_weights(pair))
            same = torch.equal(tensors[key], tensors[twin])
        if not same:
            raise ValueError(f"weight_tying is on, but the checkpoint's {key} differs from its {twin}")
    return {name: weight for name, weight in stored.items() if name != key}


def read_weights(stored: Mapping[str, Stored]) -> Iterator[tuple[str, Tensor]]:
    """Yield `(upstream key, tensor)` file by file; tensors are mapped from the file, not copied."""
    for file in sorted({weight.file for weight in stored.values()}):
        with safe_open(file, framework="pt") as opened:
            for key, weight in stored.items():
                if weight.file == file:
                    yield key, opened.get_tensor(weight.key)


def set_parameter(model: nn.Module, name: str, value: Tensor) -> None:
    """Replace one parameter of `model`, frozen."""
    owner, _, leaf = name.rpartition(".")
    setattr(model.get_submodule(owner), leaf, nn.Parameter(value, requires_grad=False))
