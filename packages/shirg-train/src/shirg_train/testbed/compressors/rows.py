"""Compressed pages as entries of the prefix, and as the padded rows that training reads."""

from __future__ import annotations

from dataclasses import replace

import torch

from shirg_core.budget import Budget, kept_tokens
from shirg_lavida.model import LavidaModel
from shirg_lavida.vision.reading_order import in_reading_order
from shirg_lavida.vision.visual_prefix import ImagePrefix
from shirg_train.testbed.compressors.contract import Compressed, Compressor
from shirg_train.testbed.compressors.grid import page_layout, repeated
from shirg_train.testbed.micro.batches import MicroBatch
from shirg_train.testbed.micro.visual import VIEWS, Visual, padded_rows, page_plan


def compress(
    model: LavidaModel, compressor: Compressor, batch: MicroBatch, budget: Budget | None, done: float | None = None
) -> Compressed:
    """Compress pages, in one row per question.

    Returns:
        B·Q rows.
    """
    k = None if budget is None else kept_tokens(budget, page_layout(model))
    compressed: Compressed = compressor(model, batch, k, done)
    if compressor.reads_question:
        return compressed
    questions = batch.answers.shape[1]
    weights = None if compressed.weights is None else compressed.weights.repeat_interleave(questions, 0)
    return replace(compressed, selection=repeated(compressed.selection, questions), weights=weights)


def compressed_rows(model: LavidaModel, compressed: Compressed) -> Visual:
    """The rows that training reads."""
    plan = page_plan(model, VIEWS, selecting=True)
    visual = padded_rows(compressed_entries(model, compressed), plan, "row")
    if compressed.weights is None:
        return visual
    columns = visual.columns.gather(1, compressed.selection.indices)
    ones = torch.ones(visual.valid.shape, dtype=compressed.weights.dtype)
    return replace(visual, weights=ones.scatter(1, columns, compressed.weights))


def compressed_entries(model: LavidaModel, compressed: Compressed) -> list[ImagePrefix]:
    """Entries of each row: its tokens in reading order with newlines, then those that stand for no patch."""
    plan = page_plan(model, VIEWS, selecting=True)
    selection = compressed.selection
    rows = in_reading_order(plan, "row", selection.kept, selection.indices, model.image_newline, None)
    entries = [
        ImagePrefix(row.embeddings, row.places, row.span, plan.layout, own)
        for row, own in zip(rows, selection, strict=True)
    ]
    if compressed.extra is None:
        return entries
    return [
        entry._replace(
            embeddings=torch.cat([entry.embeddings, extra.to(entry.embeddings.dtype)]),
            places=torch.cat([entry.places, entry.span + torch.arange(len(extra))]),
            span=entry.span + len(extra),
        )
        for entry, extra in zip(entries, compressed.extra, strict=True)
    ]
