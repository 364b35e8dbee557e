"""Models of any size with random weights, which cost what trained ones cost; nothing is downloaded."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch

from shirg_core.precision import default_dtype
from shirg_lavida.config import LavidaConfig, upstream_config
from shirg_lavida.language.config import BackboneConfig
from shirg_lavida.model import LavidaModel
from shirg_lavida.pipeline import LavidaPipeline
from shirg_lavida.prompt.character_tokenizer import EOS_ID, MASK_ID, write_tiny_tokenizer
from shirg_lavida.prompt.chat import ChatStyle
from shirg_lavida.prompt.tokenizer import load_tokenizer
from shirg_lavida.vision.config import SO400M_384, VisionConfig


@dataclass(frozen=True)
class RandomShape:
    """A model to fill with random weights.

    Attributes:
        vision: its tower.
        language: its language model.
        dtype: of the weights where none is asked for.
        gpu: whether a CPU is too slow for it.
    """

    vision: VisionConfig
    language: BackboneConfig
    dtype: torch.dtype = torch.float32
    gpu: bool = False


RANDOM = {
    "random-small": RandomShape(VisionConfig(384, 1536, 9, 6, 384, 14), BackboneConfig(512, 8, 8, 1536, 32_768)),
    "random-8b": RandomShape(SO400M_384, BackboneConfig(4096, 32, 32, 12_288, 126_464), dtype=torch.bfloat16, gpu=True),
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

    Without a `chat`, prompts have no system turn.
    """
    raw = upstream_config(shape.language, shape.vision, mask_token_id=MASK_ID, eos_token_id=EOS_ID)
    config = LavidaConfig.from_checkpoint(raw, shape.vision)
    # Made in place and in the final type: a float32 copy of 8 billion weights would not fit beside them.
    with torch.random.fork_rng(), torch.device(device), default_dtype(dtype):
        torch.manual_seed(seed)
        model = LavidaModel(config).eval().requires_grad_(requires_grad=False)
    with tempfile.TemporaryDirectory() as folder:
        tokenizer = load_tokenizer(write_tiny_tokenizer(Path(folder)), config.language.vocab_size)
    return LavidaPipeline(model, tokenizer, chat=ChatStyle(system=None) if chat is None else chat)
