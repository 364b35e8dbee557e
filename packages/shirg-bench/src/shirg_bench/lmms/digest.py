"""What determines an answer, as SHA-256: a model's weights, configuration and tokenizer, and a question's images."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import snapshot_download
from PIL import Image
from torch import nn

from shirg_bench.results.provenance import digest, source_digest
from shirg_core.versions import versions
from shirg_lavida.pipeline import LavidaPipeline

TEXTS = (".json", ".jinja", ".txt", ".model")
"""Files of a checkpoint beside its weights."""


def model_digest(pipe: LavidaPipeline) -> str:
    """Of every weight (a merged adapter included), the checkpoint's configuration, and the tokenizer."""
    sha = hashlib.sha256(weights_digest(pipe.model).encode())
    sha.update(json.dumps(pipe.model.config.raw, sort_keys=True, default=str).encode())
    sha.update(pipe.tokenizer.backend_tokenizer.to_str().encode())
    sha.update(str(pipe.tokenizer.chat_template).encode())
    return sha.hexdigest()


def weights_digest(model: nn.Module) -> str:
    """Of every weight and buffer that is saved with a model."""
    sha = hashlib.sha256()
    for name, weight in model.state_dict().items():
        sha.update(f"{name} {weight.dtype} {list(weight.shape)}\n".encode())
        sha.update(memoryview(weight.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()))
    return sha.hexdigest()


def backend_digest(model: nn.Module, pretrained: str, settings: Mapping[str, Any]) -> str:
    """Of everything but the question that determines the answer of one of lmms-eval's models."""
    folder = Path(pretrained)
    if not folder.is_dir():
        folder = Path(snapshot_download(pretrained, local_files_only=True))
    texts = sorted(path for path in folder.iterdir() if path.suffix in TEXTS)
    return digest(
        {
            "weights": weights_digest(model),
            "config": str(model.config),
            "processor": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in texts},
            "versions": versions(),
            "lmms-eval": version("lmms-eval"),
            "code": source_digest("shirg_bench.lmms"),
            "settings": settings,
        }
    )


def run_digest(pipe: LavidaPipeline, seed: int) -> str:
    """Of everything but the question and how it is sampled."""
    return digest(
        {
            "model": model_digest(pipe),
            "versions": versions(),
            "code": source_digest("shirg_bench.lmms"),
            # A selector's own words: every field that it has.
            "selector": [repr(pipe.selector), str(pipe.adaptive), repr(pipe.pruning)],
            "pipeline": [pipe.views, pipe.positions, pipe.newline, pipe.select_on],
            "attention": [pipe.tower_attention, pipe.attention_layer],
            "chat": repr(pipe.chat),
            "seed": seed,
            "numbers": [pipe.device.type, str(pipe.model.image_newline.dtype)],
        }
    )


def images_digest(images: Sequence[Image.Image]) -> str:
    """Of the pixels."""
    sha = hashlib.sha256()
    for image in images:
        sha.update(f"{image.mode} {image.size}\n".encode())
        sha.update(image.tobytes())
    return sha.hexdigest()
