"""From token ids with image placeholders to the prefix, for prompts of any length as one left-padded batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from shirg_core.checks import check_choice
from shirg_lavida.config import IMAGE_TOKEN_ID, LavidaConfig
from shirg_lavida.prompt.prefix import Placement, Prefix
from shirg_lavida.vision.visual_prefix import ImagePrefix

Positions: TypeAlias = Literal["packed", "original"]


Ids: TypeAlias = Tensor | Sequence[int] | Sequence[Sequence[int]] | Sequence[Tensor]
"""One prompt, or several."""


def split_rows(input_ids: Ids, attention_mask: Tensor | None, vocab_size: int) -> list[Tensor]:
    """The prompts as a list of `[L_b]` int64 tensors on the CPU, padding removed.

    Args:
        input_ids: `[L]`, `[B, L]`, or B prompts `[L_b]`; tensors, or lists of ints. `IMAGE_TOKEN_ID` stands for one
            image.
        attention_mask: `[B, L]`, 0 = padding; None = nothing padded.
        vocab_size: ids are below it.

    Raises:
        ValueError: wrong type, shape or dtype, an empty prompt, or an id outside the vocabulary.
    """
    if attention_mask is not None and not isinstance(attention_mask, Tensor):
        raise ValueError(f"attention_mask must be a tensor, got a {type(attention_mask).__name__}")
    if attention_mask is not None and (not isinstance(input_ids, Tensor) or attention_mask.shape != input_ids.shape):
        shape = list(input_ids.shape) if isinstance(input_ids, Tensor) else "a list"
        raise ValueError(f"attention_mask {list(attention_mask.shape)} does not fit input_ids {shape}")
    rows = _rows(input_ids)
    if attention_mask is not None:
        rows = [row[mask.bool()] for row, mask in zip(rows, attention_mask.view(len(rows), -1), strict=True)]
    if not rows:
        raise ValueError("input_ids holds no prompt")
    for row in rows:
        if row.dim() == 1 and len(row) == 0:
            raise ValueError("a prompt needs at least one token")
        if row.dim() != 1 or row.is_floating_point() or row.is_complex() or row.dtype == torch.bool:
            raise ValueError(f"a prompt is a 1-dimensional tensor of ids, got {row.dtype} {list(row.shape)}")
        # Widened first: a narrow dtype wraps what it is compared with.
        row = row.to(torch.int64)
        wrong = row[(row != IMAGE_TOKEN_ID) & ((row < 0) | (row >= vocab_size))]
        if len(wrong):
            raise ValueError(f"id {int(wrong[0])} is neither below {vocab_size} nor the image token {IMAGE_TOKEN_ID}")
    return [row.to("cpu", torch.int64) for row in rows]


def _rows(input_ids: object) -> list[Tensor]:
    """One tensor per prompt, whatever is in it."""
    if isinstance(input_ids, Tensor):
        return list(input_ids) if input_ids.dim() == 2 else [input_ids]
    if not isinstance(input_ids, Sequence) or isinstance(input_ids, str):
        raise ValueError(f"input_ids must be a tensor or a list, got a {type(input_ids).__name__}")
    prompts = [input_ids] if input_ids and isinstance(input_ids[0], int) else input_ids
    try:
        return [prompt if isinstance(prompt, Tensor) else torch.tensor(prompt) for prompt in prompts]
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise ValueError(f"input_ids must be ids, or one list or tensor of ids per prompt: {error}") from error


def question_rows(question: Ids | None, rows: Sequence[Tensor], config: LavidaConfig) -> list[Tensor]:
    """Per prompt, the ids that a selector sees, `[M_b]` int64 on the CPU, without image tokens.

    Args:
        question: as `split_rows` takes prompts, one per prompt. None = everything that `config` cannot tell from words:
            all ids of a prompt but its mask and end-of-text tokens, so a chat template's tokens stay.
        rows: the prompts.
        config: of the checkpoint.

    Raises:
        ValueError: not one question per prompt, or ids that `split_rows` refuses.
    """
    silent = [IMAGE_TOKEN_ID]
    if question is None:
        asked, silent = list(rows), [*silent, config.mask_token_id, config.eos_token_id]
    else:
        try:
            asked = split_rows(question, None, config.language.vocab_size)
        except ValueError as error:
            raise ValueError(f"question: {error}") from error
        if len(asked) != len(rows):
            raise ValueError(f"question must hold the ids of one question per prompt ({len(rows)}), got {len(asked)}")
    return [row[~torch.isin(row, torch.tensor(silent))] for row in asked]


def image_owners(rows: Sequence[Tensor], n_images: int) -> list[int]:
    """The row of each image token, in prompt order.

    Raises:
        ValueError: not as many image tokens as images.
    """
    owners = [b for b, row in enumerate(rows) for _ in range(int((row == IMAGE_TOKEN_ID).sum()))]
    if len(owners) != n_images:
        raise ValueError(
            f"the prompt has {len(owners)} image token(s) ({IMAGE_TOKEN_ID}), but {n_images} image(s) came"
        )
    return owners


def join(
    rows: Sequence[Tensor], texts: Sequence[Tensor], images: Sequence[ImagePrefix], positions: Positions
) -> Prefix:
    """Put images where their tokens stand, and pad shorter prompts on the left.

    Args:
        rows: per prompt, `[L_b]` ids.
        texts: per prompt, `[M_b, d]` embeddings of its own tokens, in order.
        images: in prompt order.
        positions: `packed` numbers entries 0, 1, 2, …; `original` leaves the gaps of dropped tokens.

    Raises:
        ValueError: an unknown position policy.
    """
    check_choice("positions", positions, get_args(Positions))
    queue = iter(images)
    embeddings, places, visual = [], [], []
    starts: list[tuple[int, int]] = []
    for row, text in zip(rows, texts, strict=True):
        stops = (row == IMAGE_TOKEN_ID).nonzero().squeeze(1)
        runs = text.tensor_split((stops - torch.arange(len(stops))).tolist())
        parts: list[Tensor] = []
        at, end, n_visual = [], 0, 0
        for k, run in enumerate(runs):
            if k:
                image = next(queue)
                starts.append((sum(map(len, parts)), end))
                parts.append(image.embeddings)
                at.append(image.places + end)
                end += image.span
                n_visual += len(image.embeddings)
            parts.append(run)
            at.append(torch.arange(end, end + len(run), device=text.device))
            end += len(run)
        embeddings.append(torch.cat(parts))
        places.append(torch.cat(at))
        visual.append(n_visual)
    lengths = [len(e) for e in embeddings]
    longest = max(lengths)
    padding = [longest - n for n in lengths]
    device = embeddings[0].device
    column, first = torch.arange(longest, device=device), torch.tensor(padding, device=device)[:, None]
    at_position: Tensor | None = None
    if positions == "original":
        at_position = torch.stack([F.pad(p, (n, 0)) for p, n in zip(places, padding, strict=True)])
    elif any(padding):
        at_position = (column - first).clamp(min=0)
    owners = image_owners(rows, len(images))
    placements = [
        _placement(image, image.source, entry, first_place, padding[b], positions)
        for image, (entry, first_place), b in zip(images, starts, owners, strict=True)
        if image.source is not None
    ]
    return Prefix(
        torch.stack([F.pad(e, (0, 0, n, 0)) for e, n in zip(embeddings, padding, strict=True)]),
        mask=column >= first if any(padding) else None,
        positions=at_position,
        visual_tokens=tuple(visual),
        selections=tuple(image.selection for image in images),
        layouts=tuple(image.layout for image in images),
        owners=tuple(owners),
        placements=tuple(placements),
    )


def _placement(
    image: ImagePrefix, source: Tensor, entry: int, first_place: int, padding: int, positions: Positions
) -> Placement:
    """Of an image whose first entry is `entry`, and place `first_place`, of a row behind `padding`."""
    at = (source >= 0).nonzero().squeeze(1)
    columns = torch.empty_like(at)
    columns[source[at]] = at + entry + padding
    if image.tokens is None or image.token_places is None:
        return Placement(columns)
    if positions == "original":
        return Placement(columns, image.tokens, image.token_places + first_place)
    before = torch.searchsorted(image.places, image.token_places, right=True) - 1
    return Placement(columns, image.tokens, before.clamp(min=0) + entry)
