"""Ask a LaViDa checkpoint about images: text and image in, text out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Unpack, overload

import torch
from PIL import Image
from torch import Tensor

from shirg_core.adaptive_budget import AdaptiveBudget
from shirg_core.budget import Budget
from shirg_core.checks import integer
from shirg_core.clock import Clock, stage
from shirg_core.images import load_image
from shirg_core.scores.heads import PENULTIMATE
from shirg_core.selection import Selector
from shirg_lavida.adaptive import answer_adaptively
from shirg_lavida.checkpoint.adapter import merge_adapter, trained_positions
from shirg_lavida.checkpoint.embedded import ADAPTERS, named
from shirg_lavida.checkpoint.load import load_lavida
from shirg_lavida.checkpoint.locate import PathOrId, locate
from shirg_lavida.checkpoint.placement import DeviceMap
from shirg_lavida.checkpoint.recommended import Recommended
from shirg_lavida.model import LavidaModel
from shirg_lavida.prompt.chat import ChatStyle, prompt_ids, question_ids
from shirg_lavida.prompt.join import Positions
from shirg_lavida.prompt.pairing import Picture, Shown, is_list, pair_up
from shirg_lavida.prompt.prefix import Prefix
from shirg_lavida.prompt.tokenizer import ChatTokenizer, answer_text, load_tokenizer, stop_ids
from shirg_lavida.pruning.protocol import Pruning
from shirg_lavida.sampling.answer import Answer
from shirg_lavida.sampling.options import SamplingKeywords
from shirg_lavida.vision.feature_cache import FeatureCache
from shirg_lavida.vision.options import SelectOn, VisionOptions, check_images
from shirg_lavida.vision.reading_order import Newline
from shirg_lavida.vision.views import Views
from shirg_lavida.vision.visual_prefix import EncodedImages, encode

STAGES = ("load", "tower", "select", "embed", "prefill", "steps", "decode", "total")
"""Keys of `Answer.timings_ms`, and `probe` with an adaptive budget, and `rewrite`, a part of `steps`, where a `Pruning`
replaced the cache; the tower's and the selector's times are parts of `embed`'s."""


class AnswerKeywords(SamplingKeywords, total=False):
    """Keywords of `LavidaPipeline.__call__`, which documents them."""

    words: Sequence[str] | None
    max_new_tokens: int
    timings: bool | Clock


@dataclass(frozen=True, eq=False)
class LavidaPipeline:
    """A model, its tokenizer, and how images become its prefix.

    Another selector or other views on the same weights: `dataclasses.replace(pipe, selector=…)`.

    Args:
        model: see `load_lavida`.
        tokenizer: see `load_tokenizer`.
        selector: chooses visual tokens once, before the first step; None is the released model's pooling for
            `views="anyres"`, and every token for other views.
        views: see `shirg_lavida.vision.views`.
        positions: `packed` or `original`, see `shirg_lavida.vision.reading_order`.
        newline: `row`, `view` or `none`, see `shirg_lavida.vision.reading_order`.
        select_on: see `VisionOptions`.
        tower_attention: see `VisionOptions`.
        attention_layer: see `VisionOptions`.
        pruning: chooses again while an answer is decoded, such as `shirg_lavida.pruning.rerank.Rerank`; None = tokens
            are chosen once.
        chat: how questions become prompts.
        feature_cache: keeps what the tower made of recent images, for further questions about them; None keeps nothing.
        adaptive: budgets between which the model decides for each answer, in place of the selector's own; see
            `shirg_lavida.adaptive`.

    Raises:
        ValueError: `adaptive` with a selector that takes no budget.
    """

    model: LavidaModel
    tokenizer: ChatTokenizer
    selector: Selector | None = None
    views: Views = "anyres"
    positions: Positions = "packed"
    newline: Newline = "row"
    select_on: SelectOn = "projected"
    tower_attention: bool = False
    attention_layer: int = PENULTIMATE
    pruning: Pruning | None = None
    chat: ChatStyle = field(default_factory=ChatStyle)
    adaptive: AdaptiveBudget | None = None
    feature_cache: FeatureCache | None = None

    def __post_init__(self) -> None:
        if self.adaptive is not None:
            self.at(self.adaptive.low)

    @classmethod
    def from_pretrained(
        cls,
        location: PathOrId,
        *,
        selector: Selector | None = None,
        views: Views | None = None,
        dtype: torch.dtype | str | None = None,
        device: torch.device | str | None = None,
        device_map: DeviceMap | None = None,
        vision_tower: PathOrId | None = None,
        adapter: Path | str | None = None,
        **options: Any,
    ) -> LavidaPipeline:
        """Load a checkpoint with its tokenizer.

        Args:
            location: a folder, the name of an embedded model such as `micro-joint`, or a hub id.
            selector: see the class.
            views: see the class; None = what the checkpoint recommends, `anyres` unless it says otherwise.
            dtype: see `load_lavida`.
            device: see `load_lavida`.
            device_map: see `load_lavida`.
            vision_tower: see `load_lavida`.
            adapter: folder or embedded name of a LoRA to merge into the weights, see
                `shirg_lavida.checkpoint.adapter`; without `positions` those that it was trained on are taken.
            options: further fields of this class.

        Raises:
            OSError: a folder, file or download that is not there.
            ValueError: no LaViDa checkpoint of a known family, or a tokenizer or adapter that does not fit it.
        """
        folder = locate(named(location), Path(), weights=True)
        model = load_lavida(folder, dtype=dtype, device=device, device_map=device_map, vision_tower=vision_tower)
        recommended = Recommended.from_checkpoint(model.config.raw)
        tokenizer = load_tokenizer(folder, model.config.language.vocab_size)
        if adapter is not None:
            lora = Path(named(adapter, ADAPTERS))
            merge_adapter(model, lora)
            if options.get("positions") is None:
                options["positions"] = trained_positions(lora)
        if views is None:
            views = "anyres" if recommended.views is None else recommended.views
        chat = replace(recommended.chat, turns=model.config.family.turns)
        options = {"views": views, "chat": chat, **options}
        return cls(model, tokenizer, selector, **options)

    @overload
    def __call__(  # type: ignore[overload-overlap]  # text is a sequence of text
        self, image: Picture | None, question: str, **options: Unpack[AnswerKeywords]
    ) -> Answer: ...
    @overload
    def __call__(
        self, image: Sequence[Shown], question: str | Sequence[str], **options: Unpack[AnswerKeywords]
    ) -> list[Answer]: ...
    @overload
    def __call__(
        self, image: Picture | None, question: Sequence[str], **options: Unpack[AnswerKeywords]
    ) -> list[Answer]: ...
    @torch.no_grad()
    def __call__(
        self,
        image: Shown | Sequence[Shown],
        question: str | Sequence[str],
        *,
        words: Sequence[str] | None = None,
        max_new_tokens: int = 32,
        timings: bool | Clock = False,
        **sampling: Unpack[SamplingKeywords],
    ) -> Answer | list[Answer]:
        """Answer one question about one image, or as many of either as lists hold, as one batch.

        Args:
            image: a Pillow image, or the path of anything `shirg_core.images.load_image` reads; None asks without an
                image; a list asks about each, and a list in it asks about several at once.
            question: may say where its images stand by as many `<image>`; a list asks each. One image with many
                questions, and one question about many images, are repeated to fit.
            words: see `embed`.
            max_new_tokens: length of the answer.
            timings: time the stages and every step, waiting for the device between them; a clock of one's own, used
                once, decides what is read. Otherwise `timings_ms` and `step_ms` are empty, and nothing waits.
            sampling: `shirg_lavida.sampling.options.SamplingOptions`: step_ratio, schedule, remasking, … Unless given,
                `stop_at_eos` is on, and blocks are as long as the answers that the checkpoint recommends: in longer
                blocks the end of text, the surest token, is settled first and cuts the answer. `lookahead` is
                recommended, too.

        Returns:
            An `Answer`, or one per pair where a list came.

        Raises:
            ValueError: lists of different length, a length that is no integer, an empty question, sampling options that
                cannot be followed, or a prompt and answer longer than the model's context.
            ImageError: an image file that cannot be used.
        """
        clock = timings if isinstance(timings, Clock) else Clock(self.device) if timings else None
        context = self.model.config.language.max_sequence_length
        if integer("max_new_tokens", max_new_tokens, low=1) >= context:
            raise ValueError(f"max_new_tokens={max_new_tokens} leaves no room in the model's context of {context}")
        images, questions = pair_up(image, question)
        with stage(clock, "total"):
            with stage(clock, "load"):
                pictures = [[_opened(picture) for picture in shown] for shown in images]
            recommended = Recommended.from_checkpoint(self.model.config.raw).sampling
            options: dict[str, Any] = {**recommended, "pruning": self.pruning, **sampling}
            options |= {"answer_length": max_new_tokens, "clock": clock}
            if self.adaptive is not None and any(pictures):
                answers = answer_adaptively(self, self.adaptive, questions, pictures, words=words, **options)
            else:
                with stage(clock, "embed"):
                    prefix = self.embed(questions, pictures, words=words, clock=clock)
                answers = self.model.generate(prefix, **options)
            with stage(clock, "decode"):
                texts = [self.text(answer.ids) for answer in answers]
        told = {} if clock is None else _told(clock, answers)
        stops = stop_ids(self.tokenizer, self.model.config)
        pairs = zip(answers, texts, strict=True)
        answers = [replace(answer, text=text, stops=stops, timings_ms=told) for answer, text in pairs]
        return answers if is_list(image) or is_list(question) else answers[0]

    def embed(
        self,
        questions: Sequence[str],
        images: Sequence[Sequence[Image.Image]],
        *,
        words: Sequence[str] | None = None,
        encoded: EncodedImages | None = None,
        clock: Clock | None = None,
    ) -> Prefix:
        """The prefix `[B, P, d]` of B questions about any number of images each, none included.

        Args:
            questions: each may say where its images stand, see `shirg_lavida.prompt.chat.split_at_images`.
            images: per question.
            words: per question, the part of its words that the selector sees, such as without a benchmark's
                instructions; None = all of them.
            encoded: what `shirg_lavida.vision.visual_prefix.encode` made of all the images; None = they are encoded.
            clock: see `LavidaModel.embed_prompt`.

        Raises:
            ValueError: a question without words, or as many lists of images as questions are not there.
            TooLongError: a prefix longer than the model's context.
        """
        asked = list(zip(questions, map(len, images), strict=True)) if words is None else [(text, 0) for text in words]
        if encoded is None and self.feature_cache is not None and any(images):
            encoded = self.encode([image for shown in images for image in shown], clock=clock)
        return self.model.embed_prompt(
            [
                prompt_ids(self.tokenizer, question, self.chat, len(shown))
                for question, shown in zip(questions, images, strict=True)
            ],
            [image for shown in images for image in shown] if encoded is None else encoded,
            question=[question_ids(self.tokenizer, text, n_images) for text, n_images in asked],
            positions=self.positions,
            clock=clock,
            **vars(self.vision),
        )

    def encode(self, images: Sequence[Image.Image], *, clock: Clock | None = None) -> EncodedImages:
        """Images after tower and projector, once for many questions or selectors: `encoded` of `embed`.

        Args:
            images: over all questions, at least one.
            clock: times the stage `tower`.

        Raises:
            ValueError: images that are not a list of Pillow images, or options that the checkpoint cannot serve.
        """
        self.vision.check(self.model.config)
        check_images(images)
        run = encode if self.feature_cache is None else self.feature_cache.encode
        return run(self.model, images, self.vision, clock)

    def at(self, budget: Budget) -> LavidaPipeline:
        """The same with a selector that keeps another budget, whatever the image.

        Raises:
            ValueError: no selector, one that takes no budget, or a budget that it refuses.
        """
        given: Any = self.selector
        if "budget" not in ([each.name for each in fields(given)] if is_dataclass(given) else []):
            raise ValueError(f"an adaptive budget needs a selector that takes a budget, got {given!r}")
        return replace(self, selector=replace(given, budget=budget), adaptive=None)

    @property
    def vision(self) -> VisionOptions:
        """How images become entries of the prefix."""
        return VisionOptions(
            self.selector,
            self.views,
            self.newline,
            self.select_on,
            self.tower_attention,
            self.attention_layer,
            every_token=self.pruning is not None and self.pruning.every_token,
        )

    @property
    def device(self) -> torch.device:
        """Where answers are sampled."""
        return self.model.image_newline.device

    def text(self, ids: Tensor) -> str:
        """The text of an answer's `ids [L]`, up to its end, without special tokens and masks."""
        config = self.model.config
        stops = stop_ids(self.tokenizer, config)
        return answer_text(self.tokenizer, ids, stops=stops, mask_id=config.mask_token_id)


def _told(clock: Clock, answers: Sequence[Answer]) -> dict[str, float]:
    """Times of a batch; rows of an adaptive budget were sampled in several, whose times add up."""
    samplings = {id(answer.timings_ms): answer.timings_ms["steps"] for answer in answers}
    spent = {**clock.timings_ms, "steps": round(sum(samplings.values()), 3)}
    own = {name: spent[name] for name in ("probe", "rewrite") if name in spent}
    return {name: spent.get(name, 0.0) for name in STAGES} | own


def _opened(picture: Picture) -> Image.Image:
    return picture if isinstance(picture, Image.Image) else load_image(picture)
