"""What a micro training run is told."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import Literal, TypeAlias

from shirg_core.checks import check_choice, integer, real
from shirg_core.methods import get_method
from shirg_lavida.vision.views import Views
from shirg_train.keep_ratio import PolicyConfig
from shirg_train.testbed.compressors.config import CompressorConfig
from shirg_train.testbed.pages.config import TIER_WORDS, TIERS, PageConfig, tier_of
from shirg_train.testbed.pages.fonts import TINY
from shirg_train.testbed.pages.plan import check_questions
from shirg_train.testbed.pages.tokens import TEMPLATES

Precision: TypeAlias = Literal["auto", "bfloat16", "float32"]
PAGE_VIEWS: tuple[Views, ...] = ("single384", "anyres")
ASK_METHOD = "v4"
"""What `shirg ask` does with a micro model unless told otherwise."""
CROPS = 2
"""Crops along the side of a page that is seen in `anyres` views."""


@dataclass(frozen=True)
class SizeConfig:
    """The model's shape.

    Args:
        image_size: side of a view in pixels, the tower's own size.
        patch_size: side of a token in pixels.
        tower_width: channels of the tower.
        tower_layers: layers that run; the checkpoint's config names one more, as LaViDa drops the last.
        tower_mlp: width of the tower's MLP.
        width: channels of the language model.
        layers: blocks of the language model.
        mlp: width of its gated MLP.
        heads: attention heads of both.
        rope_theta: base of the rotary frequencies; contexts are hundreds of tokens long, not thousands.
        views: how a page is seen: as one view (`single384`), or, twice as large, as a base view and 2 × 2 crops
            (`anyres`).
    """

    image_size: int = 112
    patch_size: int = 8
    tower_width: int = 96
    tower_layers: int = 3
    tower_mlp: int = 384
    width: int = 96
    layers: int = 3
    mlp: int = 256
    heads: int = 3
    rope_theta: float = 10_000.0
    views: Views = "single384"

    def __post_init__(self) -> None:
        for field in fields(self):
            if field.name not in ("rope_theta", "views"):
                integer(field.name, getattr(self, field.name), low=1)
        real("rope_theta", self.rope_theta, above=0)
        check_choice("views", self.views, PAGE_VIEWS)

    @property
    def page_size(self) -> int:
        """Side of a page in pixels."""
        return self.image_size * (CROPS if self.views == "anyres" else 1)


@dataclass(frozen=True)
class DataConfig:
    """The pages.

    Args:
        facts: fewest and most label–value pairs aimed at per page of one view, and in each crop of a larger one.
        questions: asked per page.
        faces: print sizes of the facts.
        kinds: weights of the first six of `shirg_train.testbed.pages.config.KINDS` for a page's largest block. One
            that holds fewer facts than are asked becomes a form: upright bars and lines need `questions: 2` on
            a 112 px page.
        weight: how often a stage draws such pages, relative to its others.
    """

    facts: tuple[int, ...] = (6, 8)
    questions: int = 4
    faces: tuple[str, ...] = (TINY,)
    kinds: tuple[float, ...] = PageConfig.kinds
    weight: float = 1.0

    def __post_init__(self) -> None:
        if len(self.facts) != 2:
            raise ValueError(f"facts must be the fewest and the most, got {self.facts}")
        real("weight", self.weight, above=0)

    def pages(self, size: SizeConfig, tier: str) -> PageConfig:
        """The generator's config for one tier."""
        parts = size.page_size // size.image_size
        return PageConfig(
            size=size.page_size,
            patch=size.patch_size,
            tier=tier,
            facts=(self.facts[0] * parts**2, self.facts[1] * parts**2),
            questions=self.questions,
            faces=self.faces,
            kinds=self.kinds,
            parts=parts,
        )


@dataclass(frozen=True)
class AuxiliaryLosses:
    """Weights of the training-only losses, see `auxiliary.py`; 0 switches one off.

    Args:
        chars: glyph of every cell of a patch, from the tower's features.
        cut: added to the weight 1 that a glyph has in `chars`, where a patch's edge cuts off a third of it or so; what
            that looks like only the neighbouring patch can tell.
        places: place of every glyph in its value, from the tower's features.
        values: the value's character at each place, from the projected token.
        owners: label of every patch, by cosine with the label's word embedding, from the projected token.
        pointer: attention from answer token to the patch that shows its character.
        label_pointer: attention from answer token to the label in the prompt.
    """

    chars: float = 0.5
    cut: float = 0.0
    places: float = 0.2
    values: float = 0.5
    owners: float = 0.5
    pointer: float = 0.5
    label_pointer: float = 0.2

    def __post_init__(self) -> None:
        for field in fields(self):
            real(field.name, getattr(self, field.name), low=0)


@dataclass(frozen=True)
class StageConfig:
    """A stretch of training.

    Args:
        name: for the log.
        steps: optimiser steps.
        lr: learning rate at the start; both optimisers use it.
        final_lr: at the end, reached linearly.
        warmup: steps from zero to `lr`.
        pages: per step.
        layout: `packed` asks all of a page's questions in one row, so visual tokens cannot see them; `joined` asks one
            question per row exactly as inference does.
        train_tower: False freezes the tower.
        answers: False trains tower and projector by the auxiliary losses alone, without the language model.
        policies: how images become tokens; one is drawn per step.
        aids: weights of the auxiliary losses.
        tiers: `plain` or `cluttered` pages, one is drawn per step; naming one twice doubles its share.
        templates: how many of the question templates are used, drawn per step; the first one half of the time.
        data: the stage's own pages, one of them is drawn per step; none = the run's.
    """

    name: str
    steps: int
    lr: float = 4e-3
    final_lr: float = 4e-3
    warmup: int = 0
    pages: int = 64
    layout: Literal["packed", "joined"] = "packed"
    train_tower: bool = True
    answers: bool = True
    policies: tuple[PolicyConfig, ...] = (PolicyConfig("baseline"),)
    aids: AuxiliaryLosses = AuxiliaryLosses()
    tiers: tuple[str, ...] = ("easy",)
    templates: int = 1
    data: tuple[DataConfig, ...] = ()

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[\w.-]+", self.name) or self.name.startswith("."):
            raise ValueError(
                f"a stage's name is part of a file's name: letters, digits, '-', '_' and '.', got {self.name!r}"
            )
        for name, low in (("steps", 1), ("pages", 1), ("warmup", 0)):
            integer(name, getattr(self, name), low=low)
        real("lr", self.lr, above=0)
        real("final_lr", self.final_lr, low=0)
        if not self.policies:
            raise ValueError(f"stage {self.name!r}: policies must list at least one")
        if not self.answers and not any((self.aids.chars, self.aids.places, self.aids.values, self.aids.owners)):
            raise ValueError(
                f"stage {self.name!r} trains nothing: answers is false, all auxiliary losses (aids) of the tower are 0"
            )
        if not self.answers and not self.train_tower:
            raise ValueError(f"stage {self.name!r} trains nothing: neither the tower nor answers")
        object.__setattr__(self, "tiers", tuple(map(tier_of, self.tiers)))
        unknown = [tier for tier in self.tiers if tier not in TIERS]
        if unknown or not self.tiers:
            raise ValueError(
                f"stage {self.name!r}: tiers must be among {', '.join(TIER_WORDS.values())}, got {unknown}"
            )
        if not 1 <= self.templates <= len(TEMPLATES):
            raise ValueError(f"stage {self.name!r}: templates must be 1–{len(TEMPLATES)}, got {self.templates}")
        texts = [policy.name for policy in self.policies if get_method(policy.method).reads_text]
        if self.layout == "packed" and texts:
            raise ValueError(f"stage {self.name!r}: {texts} need one question per row, set layout: joined")


@dataclass(frozen=True)
class MicroConfig:
    """A whole run.

    Args:
        stages: in order.
        seed: of weights, noise, pages and policies.
        init: what to start from: a file `stages/<name>.pt` of another run, or a checkpoint's folder or an embedded
            model's name, where the auxiliary heads start fresh; None = fresh weights.
        size: the model's shape.
        data: the pages.
        compressor: a learned compressor that makes tokens of pages in place of the stages' policies; None = none.
        owner_codes: what the loss `owners` compares projected tokens with: the embeddings of `words`, or codes of its
            `own`, so that no loss but that of the answers aligns tokens with words.
        weight_decay: of both optimisers.
        clip: largest gradient norm.
        precision: of the matrix products; `auto` is bfloat16 where the CPU has instructions for it, elsewhere float32,
            which is then several times faster.
        save_every: steps between saved states.
        log_every: steps between lines of the log.

    Raises:
        ValueError: no stage, two of one name, an interval of 0, or pages that cannot be drawn; the message names it.
    """

    stages: tuple[StageConfig, ...]
    seed: int = 1
    init: str | None = None
    size: SizeConfig = SizeConfig()
    data: DataConfig = DataConfig()
    compressor: CompressorConfig | None = None
    owner_codes: Literal["words", "own"] = "words"
    weight_decay: float = 0.01
    clip: float = 1.0
    precision: Precision = "auto"
    save_every: int = 100
    log_every: int = 25

    def __post_init__(self) -> None:
        if not self.stages:
            raise ValueError("stages must list at least one stage")
        names = [stage.name for stage in self.stages]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"stages must have names of their own, got {', '.join(twice)} more than once")
        for name in ("save_every", "log_every"):
            integer(name, getattr(self, name), low=1)
        real("weight_decay", self.weight_decay, low=0)
        real("clip", self.clip, above=0)
        if self.compressor is not None:
            if self.size.views != "single384":
                raise ValueError(f"compressor {self.compressor.method} takes pages of one view, got {self.size.views}")
            for stage in self.stages:
                _check_compressed(stage)
        for stage in self.stages:
            for data in stage.data or (self.data,):
                for tier in stage.tiers:
                    try:
                        check_questions(data.pages(self.size, tier))
                    except ValueError as error:
                        raise ValueError(f"pages of stage {stage.name!r}: {error}") from error

    @property
    def method(self) -> str:
        """What `shirg ask` takes of the trained model unless told otherwise."""
        return ASK_METHOD if self.compressor is None else self.compressor.method


def _check_compressed(stage: StageConfig) -> None:
    wanted = {"train_tower": False, "answers": True, "layout": "joined", "policies": (PolicyConfig("baseline"),)}
    for key, value in wanted.items():
        if getattr(stage, key) != value:
            shown = "left out" if key == "policies" else str(value).lower()
            raise ValueError(f"stage {stage.name!r}: with a compressor {key} must be {shown}")
