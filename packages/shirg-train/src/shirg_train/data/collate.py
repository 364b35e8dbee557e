"""Whole sequences with labels on the answers alone, for trainers that take `input_ids` and `labels`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from shirg_train.data.samples import TrainingSample

IGNORE_LABEL = -100


@dataclass(frozen=True)
class Collated:
    """B samples, padded on the right to the longest.

    Attributes:
        input_ids: `[B, L]` prompts and answers, then padding.
        labels: `[B, L]` ids where an answer (or its padding, if that is learnt) stands, `IGNORE_LABEL` elsewhere.
        attention_mask: `[B, L]` bool, False on padding that is not learnt.
        images: of all samples, in order.
    """

    input_ids: Tensor
    labels: Tensor
    attention_mask: Tensor
    images: tuple[Image.Image, ...]


def collate(samples: Sequence[TrainingSample], pad_id: int, *, learn_padding: bool = True) -> Collated:
    """Join samples.

    Args:
        samples: at least one.
        pad_id: end of text, which also pads.
        learn_padding: padding is a target like any other token, as LaViDa trains; else it is masked.

    Raises:
        ValueError: no samples.
    """
    if not samples:
        raise ValueError("collate needs at least one sample")
    longest = max(len(s.prompt_ids) + len(s.answer_ids) for s in samples)
    input_ids = torch.full((len(samples), longest), pad_id)
    labels = torch.full((len(samples), longest), IGNORE_LABEL)
    mask = torch.zeros(len(samples), longest, dtype=torch.bool)
    for row, sample in enumerate(samples):
        start, end = len(sample.prompt_ids), len(sample.prompt_ids) + len(sample.answer_ids)
        input_ids[row, :start], input_ids[row, start:end] = sample.prompt_ids, sample.answer_ids
        stop = longest if learn_padding else end
        labels[row, start:stop] = input_ids[row, start:stop]
        mask[row, :stop] = True
    return Collated(input_ids, labels, mask, tuple(image for sample in samples for image in sample.images))
