"""What determines an answer, as SHA-256: a model's weights, configuration and tokenizer, and a question's images."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

import torch
from PIL import Image

from shirg_bench.results.provenance import digest, source_digest
from shirg_core.versions import versions
from shirg_lavida.pipeline import LavidaPipeline


def model_digest(pipe: LavidaPipeline) -> str:
    """Of every weight (a merged adapter included), the checkpoint's configuration, and the tokenizer."""
    sha = hashlib.sha256()
    for name, weight in pipe.model.state_dict().items():
        sha.update(f"{name} {weight.dtype} {list(weight.shape)}\n".encode())
        sha.update(memoryview(weight.detach().cpu().contiguous().view(torch.uint8).numpy()))
    sha.update(json.dumps(pipe.model.config.raw, sort_keys=True, default=str).encode())
    sha.update(pipe.tokenizer.backend_tokenizer.to_str().encode())
    sha.update(str(pipe.tokenizer.chat_template).encode())
    return sha.hexdigest()


def run_digest(pipe: LavidaPipeline, seed: int) -> str:
    """Of everything but the question and how it is sampled."""
    return digest(
        {
            "model": model_digest(pipe),
            "versions": versions(),
            "code": source_digest("shirg_bench.lmms"),
            # A selector's own words: every field that it has.
            "selector": repr(pipe.selector),
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
