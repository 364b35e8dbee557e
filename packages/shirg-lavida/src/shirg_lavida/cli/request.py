"""What a user of `shirg ask` typed, and what has to be known to do the same again."""

from __future__ import annotations

import math
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shirg_core.checks import random_seed
from shirg_core.cli.errors import bad_input
from shirg_core.versions import versions
from shirg_lavida.checkpoint.embedded import DEFAULT
from shirg_lavida.checkpoint.recommended import Recommended
from shirg_lavida.pipeline import LavidaPipeline

SCHEMA = "shirg.ask/2"
"""Of the JSON summary; /1 had no schema, seed, confidence, versions and digest."""
DRAWN_SEEDS = 2**32
"""Those that are drawn where none is given: JSON readers keep them exactly."""


@dataclass(frozen=True)
class Request:
    """What the user typed; None = not given. See `shirg ask --help`."""

    image: Path
    question: str
    model: str | None
    vision_tower: str | None
    adapter: Path | None
    method: str | None
    budget: str | None
    views: str | None
    positions: str | None
    page: int
    compare: bool
    overlay: Path | None
    json: Path | None
    quiet: bool
    device: str | None
    dtype: str | None
    max_new_tokens: int | None
    seed: int | None
    sampling: Mapping[str, Any]

    def chosen_seed(self) -> int | None:
        """The seed that is used: the user's, or one drawn now if the sampling is random; None = nothing is random.

        Raises:
            BadInput: out of range.
        """
        if self.seed is not None:
            with bad_input(ValueError):
                return random_seed("--seed", self.seed)
        random = self.sampling.get("temperature", 0) != 0 or self.sampling.get("remasking") == "random"
        return secrets.randbelow(DRAWN_SEEDS) if random else None


def as_json(
    request: Request, pipe: LavidaPipeline, *, sha256: str, seed: int | None, max_new_tokens: int
) -> dict[str, Any]:
    """Everything that decided the answer, in JSON's types: another run with it gives the same."""
    recommended = Recommended.from_checkpoint(pipe.model.config.raw)
    sampling = pipe.model.config.sampling | recommended.sampling | dict(request.sampling)
    return {
        "schema": SCHEMA,
        "image": str(request.image),
        "image_sha256": sha256,
        "page": request.page,
        "question": request.question,
        "model": DEFAULT if request.model is None else request.model,
        "vision_tower": request.vision_tower,
        "adapter": None if request.adapter is None else str(request.adapter),
        "positions": pipe.positions,
        "device": str(pipe.device),
        "dtype": str(pipe.model.image_newline.dtype).removeprefix("torch."),
        "seed": seed,
        "max_new_tokens": max_new_tokens,
        # JSON has no infinity.
        "sampling": {name: "inf" if value == math.inf else value for name, value in sampling.items()},
        "versions": versions(),
    }
