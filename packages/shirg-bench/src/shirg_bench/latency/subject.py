"""What is measured: a model, real or random, with a page and a question about it.

`micro` is the embedded model on a page of its own kind, whatever folders there are. `random-small` has so400m's grid
(27 × 27 tokens a view of 384 px), a tower of 8 layers and width 384 and a language model of 8 layers and width 512.
`random-8b` is SigLIP so400m and LLaDA-8B in every dimension, in bfloat16, and needs a GPU. Anything else is a folder or
a hub id.

Prompts of random models take a token a character and have no system turn.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from PIL import Image, ImageDraw

from shirg_bench.latency.random_models import RANDOM, random_pipeline
from shirg_core.cli.errors import BadInput
from shirg_lavida.cli.models import load_pipeline, parse_device, parse_dtype
from shirg_lavida.pipeline import LavidaPipeline
from shirg_train.testbed.micro.config import DataConfig, SizeConfig
from shirg_train.testbed.micro.samples import listed_samples
from shirg_train.testbed.pages.page import draw_pages
from shirg_train.testbed.pages.tokens import TEMPLATES

QUESTION = "What is the total?"
EMBEDDED = "micro"


@dataclass(frozen=True, eq=False)
class Subject:
    """A model and what it is asked.

    Attributes:
        name: of the model.
        pipe: the model, choosing as released.
        page: the image.
        question: in words.
    """

    name: str
    pipe: LavidaPipeline
    page: Image.Image
    question: str

    @property
    def device(self) -> torch.device:
        """Where it runs."""
        return self.pipe.device

    @property
    def dtype(self) -> str:
        """Of the weights, and of what they compute: as `--dtype` names it."""
        return str(self.pipe.model.backbone.wte.weight.dtype).removeprefix("torch.")


def load_subject(
    name: str,
    *,
    vision_tower: str | None = None,
    device: str | None = None,
    dtype: str | None = None,
    seed: int = 0,
) -> Subject:
    """Build or load what the user named; see the table above.

    A random model has no `vision_tower`; the device is a GPU if there is one and none is named, the dtype the model's
    own.

    Raises:
        BadInput: a model, device or dtype that cannot be used.
    """
    if name not in RANDOM:
        location = None if name == EMBEDDED else name
        pipe = load_pipeline(location, None, device, dtype, vision_tower=vision_tower, default=EMBEDDED)
        return Subject(name, pipe, *((text_page(), QUESTION) if name != EMBEDDED else micro_page()))
    if vision_tower is not None:
        raise BadInput(f"--vision-tower belongs to a checkpoint, got {vision_tower!r} with --model {name}")
    shape = RANDOM[name]
    weights, where = parse_dtype(dtype) or shape.dtype, parse_device(device)
    if shape.gpu and where.type != "cuda":
        raise BadInput(f"--model {name} needs a CUDA device, got {where}; random-small runs on a CPU")
    pipe = random_pipeline(shape, device=where, dtype=weights, seed=seed)
    return Subject(name, pipe, text_page(), QUESTION)


def text_page(side_px: int = 1000) -> Image.Image:
    """A square page of 24 lines of print."""
    image = Image.new("RGB", (side_px, side_px), "white")
    draw = ImageDraw.Draw(image)
    for line in range(24):
        words = f"item {line}    {line * 37 % 91}.{line * 13 % 97:02}"
        draw.text((side_px * 0.06, side_px * (0.02 + line / 25)), words, fill="black", font_size=side_px * 0.024)
    return image


def micro_page() -> tuple[Image.Image, str]:
    """The embedded model's first sample: page and question."""
    sample = listed_samples()[0]
    page = draw_pages(DataConfig().pages(SizeConfig(), sample["tier"]), [sample["seed"]])
    return page.image(0), page.question(0, sample["question"], TEMPLATES[0])
