"""Tiny random LaViDas for tests: the real classes, small sizes, the upstream checkpoint layout, nothing downloaded.

The default geometry is the real one (views of 384 px, 27 × 27 tokens), so token counts are the real counts; a smaller
`side` makes tests fast. Weights depend on the seed and the checkpoint's key names only, not on any library's
initialisation.
"""

from __future__ import annotations

import json
import math
import zlib
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import load_file, save_file

from shirg_core.precision import default_dtype
from shirg_lavida.checkpoint.load import TOWER_FOLDER, TOWER_KEY, checkpoint_keys, save_lavida
from shirg_lavida.checkpoint.weights import WEIGHTS_FILE
from shirg_lavida.config import LavidaConfig, upstream_config
from shirg_lavida.families.dream import DREAM
from shirg_lavida.families.family import Family
from shirg_lavida.families.llada import LLADA
from shirg_lavida.language.config import BackboneConfig
from shirg_lavida.model import LavidaModel
from shirg_lavida.prompt.character_tokenizer import EOS_ID, MASK_ID, write_tiny_tokenizer
from shirg_lavida.vision.config import VisionConfig

__all__ = [
    "EOS_ID",
    "MASK_ID",
    "VOCAB_SIZE",
    "set_config",
    "tiny_lavida",
    "tiny_raw_config",
    "tiny_vision",
    "write_tiny_checkpoint",
    "write_tiny_tokenizer",
]

VOCAB_SIZE = 256


def tiny_vision(*, side: int = 27, patch_size: int = 14) -> VisionConfig:
    """A SigLIP of 3 layers and 32 channels; views keep SigLIP-384's leftover pixels (27 patches of 14 px in 384 px)."""
    return VisionConfig(
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=3,
        num_attention_heads=4,
        image_size=side * patch_size + 3 * patch_size // 7,
        patch_size=patch_size,
    )


def tiny_raw_config(vision: VisionConfig, *, family: Family = LLADA, **overrides: Any) -> dict[str, Any]:
    """An upstream `config.json` for `vision`; `overrides` replace or add keys."""
    ids = {"mask_token_id": MASK_ID, "eos_token_id": EOS_ID, "pad_token_id": EOS_ID}
    language = BackboneConfig(64, n_heads=4, n_layers=2, mlp_hidden_size=96, vocab_size=VOCAB_SIZE)
    return upstream_config(language, vision, **{**ids, "family": family, "mm_vision_tower": TOWER_FOLDER, **overrides})


def tiny_lavida(
    seed: int = 0, *, side: int = 27, patch_size: int = 14, family: Family = LLADA, **overrides: Any
) -> LavidaModel:
    """A tiny random LaViDa in eval mode and float32, weights frozen as after `load_lavida`.

    Args:
        seed: of the weights.
        side: tokens along a view's side.
        patch_size: side of a token in pixels.
        family: of the language model, such as `shirg_lavida.families.dream.DREAM`.
        overrides: keys of the upstream `config.json`, such as `mm_projector_type="pooler"` or `d_model=128`.
    """
    vision = tiny_vision(side=side, patch_size=patch_size)
    # Module constructors draw initial weights; those are replaced below, and the caller's random state is left alone.
    with torch.random.fork_rng(devices=[]), default_dtype(torch.float32):
        model = LavidaModel(LavidaConfig.from_checkpoint(tiny_raw_config(vision, family=family, **overrides), vision))
    parameters = dict(model.named_parameters())
    with torch.no_grad():
        for key, name in checkpoint_keys(model).items():
            parameters[name].copy_(_random_weight(key, parameters[name].shape, seed))
    return model.eval().requires_grad_(requires_grad=False)


def tiny_dream(seed: int = 0, **options: Any) -> LavidaModel:
    """A tiny random LaViDa-Dream; options as of `tiny_lavida`."""
    return tiny_lavida(seed, family=DREAM, **options)


def write_tiny_checkpoint(
    folder: str | Path,
    seed: int = 0,
    *,
    side: int = 27,
    patch_size: int = 14,
    tower: Literal["checkpoint", "folder"] = "checkpoint",
    max_shard_size: str = "5GB",
    family: Family = LLADA,
    **overrides: Any,
) -> Path:
    """Write `tiny_lavida` as a checkpoint folder.

    Args:
        folder: where; must not exist.
        seed: of the weights.
        side: tokens along a view's side.
        patch_size: side of a token in pixels.
        tower: keep the tower's weights in the checkpoint (as released), or in its own SigLIP folder, last layer
            and all.
        max_shard_size: a larger checkpoint is split into shards.
        family: see `tiny_lavida`.
        overrides: keys of the upstream `config.json`.

    Returns:
        The folder.
    """
    folder = Path(folder)
    model = tiny_lavida(seed, side=side, patch_size=patch_size, family=family, **overrides)
    save_lavida(model, folder, max_shard_size=max_shard_size)
    if tower == "folder":
        if not (folder / WEIGHTS_FILE).is_file():
            raise ValueError(f"tower='folder' writes unsharded checkpoints only, got max_shard_size={max_shard_size!r}")
        weights = load_file(folder / WEIGHTS_FILE)
        inside = {key.removeprefix(TOWER_KEY): weights.pop(key) for key in list(weights) if key.startswith(TOWER_KEY)}
        from transformers import SiglipVisionModel

        with default_dtype(torch.float32):
            siglip = SiglipVisionModel(model.config.vision.to_transformers())
        siglip.load_state_dict({**siglip.state_dict(), **inside})
        siglip.save_pretrained(folder / TOWER_FOLDER)
        save_file(weights, folder / WEIGHTS_FILE, metadata={"format": "pt"})
    return folder


def set_config(folder: Path, **overrides: Any) -> None:
    """Change keys of a checkpoint's `config.json`; None removes a key."""
    path = folder / "config.json"
    config = {**json.loads(path.read_text(encoding="utf-8")), **overrides}
    path.write_text(json.dumps({k: v for k, v in config.items() if v is not None}), encoding="utf-8")


def _random_weight(key: str, shape: torch.Size, seed: int) -> torch.Tensor:
    """Matrices ~ N(0, 1/fan-in), norms' weights around 1, biases and other vectors small."""
    generator = torch.Generator().manual_seed(zlib.crc32(key.encode()) + seed)
    noise = torch.randn(shape, generator=generator, dtype=torch.float32)
    if noise.dim() > 1:
        return noise / math.sqrt(noise[0].numel())
    centre: torch.Tensor = torch.full(shape, 1.0 if key.endswith("weight") else 0.0, dtype=torch.float32)
    return centre.add_(noise, alpha=0.1)
