"""Models of any size with random weights, which cost what trained ones cost; nothing is downloaded."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from shirg_core.precision import default_dtype
from shirg_lavida.config import LavidaConfig
from shirg_lavida.model import LavidaModel
from shirg_lavida.pipeline import LavidaPipeline
from shirg_lavida.prompt.chat import ChatStyle
from shirg_lavida.prompt.tokenizer import load_tokenizer
from shirg_lavida.testing import tiny_raw_config
from shirg_lavida.testing_tokenizer import write_tiny_tokenizer
from shirg_lavida.vision.config import VisionConfig


@dataclass(frozen=True)
class RandomShape:
    """A model to fill with random weights.

    Attributes:
        vision: its tower.
        llada: keys of the upstream `config.json` that shape the language model.
        dtype: of the weights where none is asked for.
        gpu: whether a CPU is too slow for it.
    """

    vision: VisionConfig
    llada: Mapping[str, Any] = field(hash=False)
    dtype: torch.dtype = torch.float32
    gpu: bool = False


def _llada(width: int, heads: int, layers: int, mlp: int, vocabulary: int) -> dict[str, Any]:
    sizes = {"d_model": width, "n_heads": heads, "n_kv_heads": heads, "n_layers": layers, "mlp_hidden_size": mlp}
    return {**sizes, "vocab_size": vocabulary, "embedding_size": vocabulary}


RANDOM = {
    "random-small": RandomShape(VisionConfig(384, 1536, 9, 6, 384, 14), _llada(512, 8, 8, 1536, 32_768)),
    "random-8b": RandomShape(
        VisionConfig(1152, 4304, 27, 16, 384, 14),
        _llada(4096, 32, 32, 12_288, 126_464),
        dtype=torch.bfloat16,
        gpu=True,
    ),
}
"""Random models by name."""


def random_pipeline(
    shape: RandomShape,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    seed: int = 0,
    chat: ChatStyle | None = None,
) -> LavidaPipeline:
    """A pipeline of `shape` with random weights, choosing as released.

    Args:
        shape: of the model.
        device: where it is made.
        dtype: of its weights.
        seed: of its weights.
        chat: how questions become prompts; None = without a system turn.
    """
    raw = tiny_raw_config(shape.vision, **shape.llada)
    config = LavidaConfig.from_checkpoint(raw, shape.vision)
    # Made in place and in the final type: a float32 copy of 8 billion weights would not fit beside them.
    with torch.random.fork_rng(), torch.device(device), default_dtype(dtype):
        torch.manual_seed(seed)
        model = LavidaModel(config).eval().requires_grad_(requires_grad=False)
    with tempfile.TemporaryDirectory() as folder:
        tokenizer = load_tokenizer(write_tiny_tokenizer(Path(folder)), config.llada.vocab_size)
    return LavidaPipeline(model, tokenizer, chat=ChatStyle(system=None) if chat is None else chat)
