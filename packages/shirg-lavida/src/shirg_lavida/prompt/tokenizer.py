"""A checkpoint's tokenizer, and answers as text."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor
from transformers import PreTrainedTokenizerFast

from shirg_core.files import read_json

TOKENIZER_FILE = "tokenizer.json"
END_OF_TURN = "<|eot_id|>"
"""LLaDA ends its turn with this, and fills up with end of text."""


def load_tokenizer(folder: Path, vocab_size: int) -> PreTrainedTokenizerFast:
    """The tokenizer in a checkpoint's folder; nothing is downloaded and no code in the folder is run.

    Args:
        folder: holds `tokenizer.json`, and `tokenizer_config.json` with the names of the special tokens.
        vocab_size: of the model; ids are below it.

    Raises:
        FileNotFoundError: no `tokenizer.json`.
        ValueError: a damaged tokenizer, or one with more tokens than the model.
    """
    if not (folder / TOKENIZER_FILE).is_file():
        raise FileNotFoundError(
            f"no tokenizer in {folder}: {TOKENIZER_FILE} is missing (load_lavida works without one, on token ids)"
        )
    read_json(folder / TOKENIZER_FILE, "the tokenizer")
    try:
        tokenizer = PreTrainedTokenizerFast.from_pretrained(str(folder), local_files_only=True)
    except Exception as error:  # the tokenizers library raises nothing narrower
        raise ValueError(f"the tokenizer in {folder} is damaged: {error}") from error
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise ValueError(f"the tokenizer in {folder} is a {type(tokenizer).__name__}")
    if len(tokenizer) > vocab_size:
        raise ValueError(f"the tokenizer in {folder} has {len(tokenizer)} tokens, the model only {vocab_size}")
    return tokenizer


def stop_ids(tokenizer: PreTrainedTokenizerFast, eos_id: int) -> frozenset[int]:
    """Ids that end an answer: the model's end of text, and the tokenizer's end of turn if it has one."""
    # Not from `get_vocab`, which copies the whole vocabulary.
    end_of_turn = tokenizer.backend_tokenizer.token_to_id(END_OF_TURN)
    return frozenset({eos_id} if end_of_turn is None else {eos_id, end_of_turn})


def answer_text(tokenizer: PreTrainedTokenizerFast, ids: Tensor, *, stops: frozenset[int], mask_id: int) -> str:
    """The text of `ids [L]` up to the first of `stops`; masks that were never filled are left out."""
    shown: list[int] = []
    for token in ids.tolist():
        if token in stops:
            break
        if token != mask_id:
            shown.append(token)
    return str(tokenizer.decode(shown, skip_special_tokens=True)).strip()
