"""What a perfect OCR would say of a page: every label with its value and their box, from the page generator's truth."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from shirg_train.testbed.micro.batches import MicroBatch
from shirg_train.testbed.pages.words import LABELS, MAX_VALUE


class Printed(NamedTuple):
    """B pages, F facts of the fullest one.

    Attributes:
        labels: `[B, F]` index into `LABELS`.
        values: `[B, F, MAX_VALUE]` 1 + index into the alphabet of each character, 0 after the end.
        boxes: `[B, F, 4]` top, left, bottom, right of label and value together, in shares of the page's side.
        valid: `[B, F]` bool, False = the page has fewer facts.
    """

    labels: Tensor
    values: Tensor
    boxes: Tensor
    valid: Tensor


def printed_facts(batch: MicroBatch, side: int) -> Printed:
    """Facts by number of their label."""
    owners, places = batch.owners.flatten(1), batch.places.flatten(1)
    pages, cells = owners.shape
    chars = batch.chars.clamp_min(0).flatten(1)
    # Slot 0 collects print that belongs to no fact; place 0 are labels' own letters.
    spelt = torch.zeros(pages, (len(LABELS) + 1) * (MAX_VALUE + 1), dtype=torch.int64)
    spelt = spelt.scatter_reduce(1, owners * (MAX_VALUE + 1) + places, chars, "amax").unflatten(1, (-1, MAX_VALUE + 1))
    patch = torch.arange(cells) // batch.owners.shape[2]
    box = []
    for low in (patch // side, patch % side):
        for value, reduce in ((low, "amin"), (low + 1, "amax")):
            start = float(side if reduce == "amin" else 0)
            extent = torch.full((pages, len(LABELS) + 1), start)
            box.append(extent.scatter_reduce(1, owners, value.float().expand(pages, -1), reduce) / side)
    top, bottom, left, right = box
    there = (spelt[:, 1:, 1:] > 0).any(-1)
    labels = there.to(torch.uint8).argsort(dim=1, descending=True, stable=True)[:, : int(there.sum(1).max())]
    boxes = torch.stack([top, left, bottom, right], dim=-1)[:, 1:]
    page = torch.arange(pages)[:, None]
    return Printed(labels, spelt[page, labels + 1, 1:], boxes[page, labels], there.gather(1, labels))
