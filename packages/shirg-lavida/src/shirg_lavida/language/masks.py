"""Who may attend to whom: one rule, shared by the sampler and the training loss.

    allowed(q, k) = (group_k = 0  or  group_k = group_q)  and  valid_k

Group 0 is the prefix (image and prompt): it sees only itself, so its keys and values depend on no answer token and
can be cached. An answer is group 1, 2, …: it sees the prefix and itself. Two answers of one prompt, such as a masked
answer and its complement, may share one row and one prefix under different group numbers.

B: batch, S: tokens, P: prefix tokens, L: answer tokens. Masks are bool, True = may attend.
"""

from __future__ import annotations

import torch
from torch import Tensor


def group_mask(groups: Tensor, valid: Tensor | None = None, *, queries: int | None = None) -> Tensor:
    """The rule above.

    Args:
        groups: `[B, S]` integers, 0 = prefix, 1 … = answers.
        valid: `[B, S]` bool, False = padding that nobody may see; None = nothing padded.
        queries: only the last so many tokens ask; None = all S do.

    Returns:
        `[B, 1, queries, S]` bool.

    Raises:
        ValueError: `valid` has another shape than `groups`.
    """
    asking = groups if queries is None else groups[:, -queries:]
    key, query = groups[:, None, None, :], asking[:, None, :, None]
    allowed = (key == 0) | (key == query)
    if valid is None:
        return allowed
    if valid.shape != groups.shape:
        raise ValueError(f"valid must have the shape of groups {list(groups.shape)}, got {list(valid.shape)}")
    return allowed & valid[:, None, None, :]


def prefix_mask(
    prefix_length: int, answer_length: int, valid: Tensor | None = None, device: torch.device | str | None = None
) -> Tensor:
    """`[B or 1, 1, S, S]` for rows of P prefix tokens, then L answer tokens; `valid [B, P]` is False for padding."""
    if valid is not None:
        device = valid.device
    groups = (torch.arange(prefix_length + answer_length, device=device) >= prefix_length).long()[None]
    if valid is None:
        return group_mask(groups)
    return group_mask(groups.expand(valid.shape[0], -1), with_answer(valid, answer_length))


def full_mask(answer_length: int, valid: Tensor | None) -> Tensor | None:
    """Everybody sees everybody but padding: `[B, 1, 1, S]`, or None when nothing is padded."""
    return None if valid is None else with_answer(valid, answer_length)[:, None, None, :]


def with_answer(valid: Tensor, answer_length: int) -> Tensor:
    """`valid [B, P]`, then L answer tokens, which are never padding: `[B, P + L]`."""
    return torch.cat([valid, valid.new_ones(valid.shape[0], answer_length)], dim=1)
