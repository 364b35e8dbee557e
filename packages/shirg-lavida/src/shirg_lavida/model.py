"""LaViDa with SHIRG: image views, SigLIP tower, projector, the backbone of LLaDA or Dream.

arXiv 2505.16839. The classes are the released model's shape for shape; `checkpoint/load.py` maps weights one to one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

import torch
from PIL import Image
from torch import Tensor, nn

from shirg_core.clock import Clock
from shirg_core.scores.heads import PENULTIMATE
from shirg_core.selection import Selector
from shirg_lavida.config import IMAGE_TOKEN_ID, LavidaConfig
from shirg_lavida.language.backbone import Backbone
from shirg_lavida.prompt.context import TooLongError
from shirg_lavida.prompt.join import Ids, Positions, image_owners, join, question_rows, split_rows
from shirg_lavida.prompt.prefix import Prefix, PrefixLike
from shirg_lavida.sampling.answer import Answer
from shirg_lavida.sampling.denoiser import denoise_logits
from shirg_lavida.sampling.options import SamplingKeywords
from shirg_lavida.sampling.probe import first_step_entropy
from shirg_lavida.sampling.sampler import sample
from shirg_lavida.vision.options import SelectOn, VisionOptions, check_images
from shirg_lavida.vision.projector import build_projector
from shirg_lavida.vision.reading_order import Newline
from shirg_lavida.vision.tower import SiglipTower
from shirg_lavida.vision.views import Views
from shirg_lavida.vision.visual_prefix import EncodedImages, visual_prefix


class LavidaModel(nn.Module):
    """The whole model below the tokenizer.

    Args:
        config: read from a checkpoint, see `load_lavida`.
    """

    def __init__(self, config: LavidaConfig) -> None:
        super().__init__()
        self.config = config
        hidden = config.language.d_model
        self.tower = SiglipTower(config.vision)
        self.projector = build_projector(
            config.projector,
            config.vision.hidden_size,
            hidden,
            side=config.vision.side,
            pooler_ratio=config.pooler_ratio,
        )
        self.image_newline = nn.Parameter(nn.init.normal_(torch.empty(hidden), std=hidden**-0.5))
        self.backbone = Backbone(config.language)

    def embed_prompt(
        self,
        input_ids: Ids,
        images: Sequence[Image.Image] | EncodedImages,
        *,
        selector: Selector | None = None,
        views: Views = "anyres",
        positions: Positions = "packed",
        newline: Newline = "row",
        attention_mask: Tensor | None = None,
        question: Ids | None = None,
        select_on: SelectOn = "projected",
        tower_attention: bool = False,
        attention_layer: int = PENULTIMATE,
        every_token: bool = False,
        clock: Clock | None = None,
    ) -> Prefix:
        """Embed prompts and their images as the prefix; selection happens here and nowhere else.

        Args:
            input_ids: `[L]`, `[B, L]`, or B prompts `[L_b]`; tensors, or lists of ints. `IMAGE_TOKEN_ID` stands for one
                image.
            images: in prompt order, over all prompts; or what `shirg_lavida.vision.visual_prefix.encode` made of them.
            selector: chooses tokens, with the question's tokens as text; None pools `anyres` as released and keeps
                every token of other views.
            views: see `shirg_lavida.vision.views`.
            positions: `packed` or `original`, see `shirg_lavida.vision.reading_order`.
            newline: see `shirg_lavida.vision.reading_order`.
            attention_mask: `[B, L]`, 0 = padding of `input_ids`.
            question: per prompt, the ids of the user's words `[M_b]`, see `shirg_lavida.prompt.chat.question_ids`; they
                are what the selector sees of the text. None = all ids of the prompt but image, mask and end-of-text
                tokens: without a tokenizer, a chat template's words cannot be told from the user's.
            select_on: see `VisionOptions`.
            tower_attention: see `VisionOptions`.
            attention_layer: see `VisionOptions`.
            every_token: see `VisionOptions`.
            clock: times the stages `tower` and `select`; None = nothing is timed, and the device not waited for.

        Returns:
            `[B, P, d]`, shorter prompts padded on the left.

        Raises:
            ValueError: ids, images, questions or options that do not fit.
            TooLongError: a prefix longer than the model's context.
        """
        options = VisionOptions(selector, views, newline, select_on, tower_attention, attention_layer, every_token)
        rows = split_rows(input_ids, attention_mask, self.config.language.vocab_size)
        if not isinstance(images, EncodedImages):
            check_images(images)
        asked = question_rows(question, rows, self.config)
        owners = image_owners(rows, len(images))
        device = self.image_newline.device
        texts = [self.backbone.embed(row[row != IMAGE_TOKEN_ID].to(device)[None])[0] for row in rows]
        words = [self.backbone.embed(row.to(device)[None])[0] for row in asked]
        entries = visual_prefix(self, images, options, [words[b] for b in owners], clock)
        prefix = join(rows, texts, entries, positions)
        limit = self.config.language.max_sequence_length
        if prefix.shape[1] > limit:
            raise TooLongError(f"the prefix has {prefix.shape[1]} entries, the model's context holds {limit}")
        return prefix

    def denoise_logits(
        self, prefix: PrefixLike, answer_ids: Tensor, *, attention: str = "prefix", cache: bool = True
    ) -> Tensor:
        """Logits `[B, L, V]` of one denoising step; see `shirg_lavida.sampling.denoiser.denoise_logits`."""
        return denoise_logits(self.backbone, prefix, answer_ids, attention=attention, cache=cache)

    def sample(self, prefix: PrefixLike, *, answer_length: int, **options: Unpack[SamplingKeywords]) -> Tensor:
        """Sampled ids `[B, L]`; `generate` with everything else left out."""
        return torch.stack([answer.ids for answer in self.generate(prefix, answer_length=answer_length, **options)])

    def first_step_entropy(
        self, prefix: PrefixLike, *, answer_length: int, **options: Unpack[SamplingKeywords]
    ) -> Tensor:
        """Mean entropy `[B]` of the first step of `generate`, see `shirg_lavida.sampling.probe`."""
        every: Any = {**self.config.family.sampling, **options}
        return first_step_entropy(
            self.backbone, prefix, mask_id=self.config.mask_token_id, answer_length=answer_length, **every
        )

    def generate(
        self,
        prefix: PrefixLike,
        *,
        answer_length: int,
        clock: Clock | None = None,
        **options: Unpack[SamplingKeywords],
    ) -> list[Answer]:
        """Sample an answer to each row with the checkpoint's mask and end-of-text ids.

        Args:
            prefix: `[B, P, d]`, a `Prefix` or a plain tensor.
            answer_length: L.
            clock: see `shirg_lavida.sampling.sampler.sample`.
            options: of `shirg_lavida.sampling.options.SamplingOptions`; `config.sampling` are the defaults.

        Raises:
            ValueError: an option that cannot be followed, or an answer that does not fit the context.
            TypeError: a name that is no option.
        """
        return sample(
            self.backbone,
            prefix,
            mask_id=self.config.mask_token_id,
            eos_id=self.config.eos_token_id,
            answer_length=answer_length,
            clock=clock,
            **{**self.config.family.sampling, **options},
        )
