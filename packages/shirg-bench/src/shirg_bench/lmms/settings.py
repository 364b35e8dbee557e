"""The arguments of the model `shirg_lavida`: what `--model_args` of lmms-eval may hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import torch

from shirg_bench.lmms.resolved import Resolved, check_eval_method, resolve
from shirg_bench.lmms.sampling import SAMPLER, parse_sampling
from shirg_bench.lmms.values import Kind, count, switch, text, typed
from shirg_core.adaptive_budget import AdaptiveBudget
from shirg_core.budget import Budget
from shirg_core.checks import check_choice, random_seed
from shirg_core.cli.errors import BadInput, bad_input
from shirg_core.cli.methods import parse_any_budget
from shirg_core.methods import get_method
from shirg_lavida.checkpoint.recommended import Recommended
from shirg_lavida.checkpoint.weights import DTYPES
from shirg_lavida.cli.models import load_pipeline, parse_device, read_recommended
from shirg_lavida.methods import choose_by, with_method
from shirg_lavida.pipeline import LavidaPipeline
from shirg_lavida.prompt.join import Positions
from shirg_lavida.pruning.options import later_options
from shirg_lavida.vision.views import Views


@dataclass(frozen=True)
class ModelSettings:
    """Which model, how it sees images, and how it samples where a task leaves that open.

    Args:
        pretrained: a folder, an embedded model's name, or a hub id; a folder wins. None = the one that `shirg
            ask` asks, whatever folders there are.
        vision_tower: folder or hub id of the tower, see `load_lavida`; None = the checkpoint's own.
        method: see `shirg_core.methods`; None = the checkpoint's own.
        budget: tokens to keep, a count or a fraction, or adaptive; None = the checkpoint's own.
        later: options of a method that chooses again while decoding, see `shirg_lavida.pruning.options`; with ; between
            them where , separates model arguments.
        views: see `shirg_lavida.vision.views`; None = the checkpoint's own, or else the method's.
        adapter: folder of a LoRA.
        positions: `packed` or `original`; None = those the adapter was trained on, else `packed`.
        cache: keep the prefix's keys and values.
        batch_size: questions answered at once. Above 1, rounding depends on who shares a batch, and so may an answer.
        device: as torch spells it; None = a GPU if there is one, this process's own among several.
        dtype: `float32`, `bfloat16` or `float16`; None = the checkpoint's.
        seed: random seed.
        journal: folder of answers given so far, see `shirg_bench.results.journal`; None keeps none.
        sampling: defaults of `gen_kwargs`, by name.

    Raises:
        ValueError, BadInput: a value that cannot be used.
    """

    pretrained: str | None = None
    vision_tower: str | None = None
    method: str | None = None
    budget: Budget | AdaptiveBudget | None = None
    later: str | None = None
    views: str | None = None
    adapter: Path | None = None
    positions: str | None = None
    cache: bool = True
    batch_size: int = 1
    device: str | None = None
    dtype: str | None = None
    seed: int = 0
    journal: Path | None = None
    sampling: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.method is not None:
            check_eval_method(self.method, self.budget)
        words = {"views": get_args(Views), "positions": get_args(Positions), "dtype": tuple(DTYPES)}
        with bad_input(ValueError):
            random_seed("seed", self.seed)
            for name, choices in words.items():
                if (word := getattr(self, name)) is not None:
                    check_choice(name, word, choices)
        if self.device is not None:
            parse_device(self.device)
        if self.batch_size < 1:
            raise BadInput(f"batch_size must be at least 1, got {self.batch_size}")
        parse_sampling({}, self.sampling, max_new_tokens=self.sampling.get("max_new_tokens", 128))

    @classmethod
    def from_arguments(cls, given: Mapping[str, object]) -> ModelSettings:
        """From the arguments of a model's constructor, most of them strings.

        Raises:
            ValueError, BadInput: an unknown name, or a value that cannot be used.
        """
        kinds: dict[str, Kind] = {**_KINDS, **SAMPLER, "max_batch_size": count}
        values = typed(given, kinds, "model argument")
        values.pop("max_batch_size", None)
        sampling = {name: values.pop(name) for name in SAMPLER if name in values}
        return cls(**values, sampling=sampling)

    def resolved(self) -> Resolved:
        """How images are seen; of the checkpoint only its `config.json` is read.

        Raises:
            BadInput: a checkpoint that cannot be read, or a budget for its own method, which takes none.
        """
        return self._resolve(read_recommended(self.pretrained))

    def open(self, device: torch.device) -> LavidaPipeline:
        """Load the model and let it see images by the method.

        Raises:
            BadInput: whatever of these cannot be used.
        """
        pipe = load_pipeline(
            self.pretrained,
            self.adapter,
            str(device),
            self.dtype,
            self.positions,
            self.vision_tower,
        )
        used = self._resolve(Recommended.from_checkpoint(pipe.model.config.raw))
        with bad_input(ValueError):
            return with_method(pipe, used.method, used.budget, used.views, self.seed, later=self.later)

    def _resolve(self, recommended: Recommended) -> Resolved:
        used = resolve(self.method, self.budget, self.views, recommended)
        method = get_method(used.method)
        with bad_input(ValueError):
            options = later_options(method, self.later)
            if method.later is not None:
                choose_by(method, used.views, budget=used.budget, **options)
        if method.later is not None and not self.cache:
            raise BadInput(f"method {method.name!r} rewrites the prefix cache: it needs cache=True")
        return used


_KINDS: Mapping[str, Kind] = {
    "pretrained": text,
    "method": text,
    "budget": lambda value: parse_any_budget(str(value)),
    "later": lambda value: str(value).replace(";", ","),
    "views": text,
    "vision_tower": text,
    "adapter": lambda value: Path(str(value)),
    "positions": text,
    "cache": switch,
    "batch_size": count,
    "device": text,
    "dtype": text,
    "seed": count,
    "journal": lambda value: Path(str(value)),
}
