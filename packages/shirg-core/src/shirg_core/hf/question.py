"""What a selector takes for the question: words of the prompt, or exactly those that the caller names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

Question: TypeAlias = "str | Tensor | Sequence[int] | Sequence[Sequence[int]] | Sequence[Tensor] | None"


def question_words(model: Any, input_ids: Tensor, real: Tensor, question: Question) -> list[Tensor | None]:
    """Word embeddings of every prompt's question.

    Args:
        model: has `get_input_embeddings` and a config.
        input_ids: `[B, L]`.
        real: `[B, L]` bool, False for padding.
        question: `auto`, the ids of the user's words (one sequence, or one a prompt), or None.

    Returns:
        B times `[1, M, D]`, or None where there is no text.

    Raises:
        ValueError: another word than `auto`, another number of questions than prompts, or ids outside the vocabulary.
    """
    if question is None:
        return [None] * len(input_ids)
    if isinstance(question, str):
        if question != "auto":
            raise ValueError(f"question must be 'auto', token ids or None (a model has no tokenizer), got {question!r}")
        special = torch.tensor(sorted(special_ids(model)), device=input_ids.device)
        asked = [ids[kept] for ids, kept in zip(input_ids, real & ~torch.isin(input_ids, special), strict=True)]
    else:
        several = question.dim() == 2 if isinstance(question, Tensor) else not _is_id(next(iter(question), 0))
        asked = [torch.as_tensor(ids).flatten().long() for ids in (question if several else [question])]
    if len(asked) != len(input_ids):
        raise ValueError(f"{len(input_ids)} prompts need as many questions, got {len(asked)}")
    table = model.get_input_embeddings()
    for ids in asked:
        if len(ids) and not 0 <= int(ids.min()) <= int(ids.max()) < table.weight.shape[0]:
            raise ValueError(f"question ids must be in [0, {table.weight.shape[0]}), got {ids.tolist()}")
    return [table(ids.to(input_ids.device)[None]) if len(ids) else None for ids in asked]


def _is_id(value: object) -> bool:
    return not isinstance(value, Sequence | Tensor) or (isinstance(value, Tensor) and value.dim() == 0)


def special_ids(model: Any) -> set[int]:
    """Every id that the model's configs name: `eos_token_id`, `image_token_id`, `boi_token_index`, and so on."""
    configs = [model.config, getattr(model, "generation_config", None)]
    return {i for config in configs if config is not None for i in _named_ids(config.to_dict())}


def _named_ids(config: Mapping[str, Any]) -> Iterator[int]:
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from _named_ids(value)
        elif str(name).endswith(("token_id", "token_ids", "token_index")):
            yield from (i for i in (value if isinstance(value, list | tuple) else [value]) if isinstance(i, int))
