"""One differentiable pass over prompts and answers, several questions and several samples of each answer per row.

    row:    head | visual entries | tail 1, samples of answer 1 | tail 2, samples of answer 2 | …

`joined` (one question per row) is inference's own attention: head, image and tail see each other, a sample sees them
and itself. Not joined, head and image see only each other, a tail also itself, a sample also its tail: one pass over
the image serves all of a page's questions, but the image cannot see them.

R: rows, T: visual entries, H: head, Q: questions, M: tail, n: samples, L: answer length.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from shirg_lavida.language.backbone import Block
from shirg_lavida.model import LavidaModel

LABEL_BLOCK, POINTER_BLOCK = 0, 1
"""Blocks whose first head the pointer losses look at: find the label in the prompt, then its value in the image."""
SMALLEST_WEIGHT = 1e-6
"""What `weights` are at least, for their logarithm."""


class AnswerPass(NamedTuple):
    """What a pass gives.

    Attributes:
        logits: `[R, Q, n, L, V]`.
        pointer: `[R, Q, L, T]` attention logits from the first sample to the visual entries, in `POINTER_BLOCK`.
        label_pointer: `[R, Q, L, M]` the same to its own tail, in `LABEL_BLOCK`.
    """

    logits: Tensor
    pointer: Tensor
    label_pointer: Tensor


def answer_pass(
    model: LavidaModel,
    rows: Tensor,
    valid: Tensor,
    head: Tensor,
    tails: Tensor,
    samples: Tensor,
    *,
    joined: bool,
    weights: Tensor | None = None,
) -> AnswerPass:
    """Run the backbone.

    `rows [R, T, d]` visual entries, `valid [R, T]`, `head [H]`, `tails [R, Q, M]`, `samples [R, Q, n, L]` ids;
    `weights [R, T]` are factors of the attention that visual entries receive, before it is normalised: 0 = dropped.

    Raises:
        ValueError: `joined` with several questions per row.
    """
    r, q, n, length = samples.shape
    m, t, h = tails.shape[-1], rows.shape[1], len(head)
    if joined and q != 1:
        raise ValueError(f"joined rows hold one question each, got {q}")
    # 1. Embed.
    backbone = model.backbone
    asked = torch.cat([tails, samples.flatten(2)], dim=2).flatten(1)
    text = backbone.embed(asked)
    x = torch.cat([backbone.embed(head).expand(r, -1, -1), rows.to(text.dtype), text], dim=1)
    # 2. Positions: prefix and tail count on, every sample starts where its tail ends.
    full = torch.cat([valid.new_ones(r, h), valid], dim=1)
    before = (full.cumsum(1) - 1).clamp_min(0)
    offsets = torch.cat([torch.arange(m), (m + torch.arange(length)).repeat(n)]).repeat(q)
    positions = torch.cat([before, full.sum(1, keepdim=True) + offsets], dim=1)
    padding = torch.cat([full, full.new_ones(r, len(offsets))], dim=1)
    p = h + t + (m if joined else 0)
    allowed = _allowed(h + t, q, m, n, length, joined=joined)[None, None, p:]
    biases: tuple[Tensor | None, Tensor] = None, _bias(allowed)
    if not bool(valid.all()):
        biases = _bias(padding[:, None, None, :p]), _bias(allowed & padding[:, None, None])
    if weights is not None:
        factor = F.pad(weights.clamp_min(SMALLEST_WEIGHT).log(), (h, p - h - t))[:, None, None]
        inside_bias = factor if biases[0] is None else biases[0] + factor
        biases = inside_bias, biases[1] + F.pad(factor, (0, len(offsets) + h + t - p))
    # 3. Blocks, keeping two heads' attention logits.
    rotary = backbone.rotary(positions)
    first = (h + t + torch.arange(q)[:, None] * (m + n * length) + m + torch.arange(length)).flatten()
    watched: dict[int, Tensor] = {}
    for number, block in enumerate(backbone.blocks):
        assert isinstance(block, Block)
        queries, keys, values = block.project(x, rotary)
        if number in (LABEL_BLOCK, POINTER_BLOCK):
            one = queries[:, 0, first] @ keys[:, 0].transpose(1, 2) / queries.shape[-1] ** 0.5
            watched[number] = one.float().unflatten(1, (q, length))
        # The prefix never looks beyond itself.
        inside = _attend(queries[:, :, :p], keys[:, :, :p], values[:, :, :p], biases[0])
        x = block.finish(x, torch.cat([inside, _attend(queries[:, :, p:], keys, values, biases[1])], dim=2))
    # 4. Logits of the samples; attention of each question's first sample to its own tail.
    hidden = backbone.ln_f(x[:, h + t :]).unflatten(1, (q, m + n * length))[:, :, m:].unflatten(2, (n, length))
    own = watched[LABEL_BLOCK][..., h + t :].unflatten(-1, (q, m + n * length))[..., :m]
    own = own.diagonal(dim1=1, dim2=3).permute(0, 3, 1, 2)
    pointer = watched[POINTER_BLOCK][..., h : h + t].masked_fill(~valid[:, None, None], -1e4)
    return AnswerPass(backbone.logits(hidden), pointer, own)


def _allowed(prefix: int, q: int, m: int, n: int, length: int, *, joined: bool) -> Tensor:
    """`[S, S]` bool, query × key."""
    # Sample 0 = not in a sample. Question 0 = head and image.
    sample = torch.cat([torch.zeros(m, dtype=torch.int64), torch.arange(n).repeat_interleave(length) + 1]).repeat(q)
    question = torch.arange(q).repeat_interleave(m + n * length) + 1
    sample = torch.cat([torch.zeros(prefix, dtype=torch.int64), sample])
    question = torch.cat([torch.zeros(prefix, dtype=torch.int64), question])
    if joined:
        question = question.clamp_max(0)
    common = (question[None] == 0) & (sample[None] == 0)
    own_tail = (question[:, None] == question[None]) & (sample[None] == 0)
    own_sample = (question[:, None] == question[None]) & (sample[:, None] == sample[None])
    return common | own_tail | own_sample


def _bias(allowed: Tensor) -> Tensor:
    return torch.zeros(allowed.shape, dtype=torch.float32).masked_fill(~allowed, -1e4)


def _attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None) -> Tensor:
    """`shirg_lavida.language.attention.attend`, unfused: faster forward and backward on a CPU in bfloat16."""
    with torch.autocast("cpu", enabled=False):
        weights = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
        if bias is not None:
            weights = weights + bias.to(weights.dtype)
        out: Tensor = weights.softmax(dim=-1) @ v
        return out
