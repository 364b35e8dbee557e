"""A checkpoint's tokenizer, and answers as text."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor
from transformers import PreTrainedTokenizerFast

from shirg_core.files import read_json
from shirg_lavida.config import LavidaConfig

TOKENIZER_FILE = "tokenizer.json"
BPE_FILES = ("vocab.json", "merges.txt")
"""What Dream's tokenizer comes in, which is Qwen2's with other special tokens."""


def read_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """The tokenizer in a checkpoint's folder; nothing is downloaded and no code in the folder is run.

    Args:
        folder: holds `tokenizer.json`, or else `BPE_FILES`, and `tokenizer_config.json` with the names of the special
            tokens.

    Raises:
        FileNotFoundError: neither is there.
        ValueError: a damaged tokenizer.
    """
    if (folder / TOKENIZER_FILE).is_file():
        read_json(folder / TOKENIZER_FILE, "the tokenizer")
        kind = PreTrainedTokenizerFast
    elif all((folder / name).is_file() for name in BPE_FILES):
        from transformers import Qwen2Tokenizer

        kind = Qwen2Tokenizer
    else:
        raise FileNotFoundError(
            f"no tokenizer in {folder}: {TOKENIZER_FILE} is missing, and {' and '.join(BPE_FILES)} are not both there "
            "(load_lavida works without one, on token ids)"
        )
    try:
        tokenizer = kind.from_pretrained(str(folder), local_files_only=True)
    except Exception as error:  # the tokenizers library raises nothing narrower
        raise ValueError(f"the tokenizer in {folder} is damaged: {error}") from error
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise ValueError(f"the tokenizer in {folder} is a {type(tokenizer).__name__}")
    return tokenizer


def load_tokenizer(folder: Path, vocab_size: int) -> PreTrainedTokenizerFast:
    """`read_tokenizer` for a model.

    Args:
        folder: see there.
        vocab_size: of the model; ids are below it.

    Raises:
        FileNotFoundError: see there.
        ValueError: a damaged tokenizer, or one with more tokens than the model.
    """
    tokenizer = read_tokenizer(folder)
    if len(tokenizer) > vocab_size:
        raise ValueError(f"the tokenizer in {folder} has {len(tokenizer)} tokens, the model only {vocab_size}")
    return tokenizer


def stop_ids(tokenizer: PreTrainedTokenizerFast, config: LavidaConfig) -> frozenset[int]:
    """Ids that end an answer: the model's end of text, and its family's end of turn if the tokenizer has it.

    LLaDA and Dream end a turn with the latter and fill up with end of text.
    """
    # Not from `get_vocab`, which copies the whole vocabulary.
    end_of_turn = tokenizer.backend_tokenizer.token_to_id(config.family.turns.end_token)
    return frozenset({config.eos_token_id} if end_of_turn is None else {config.eos_token_id, end_of_turn})


def answer_text(tokenizer: PreTrainedTokenizerFast, ids: Tensor, *, stops: frozenset[int], mask_id: int) -> str:
    """The text of `ids [L]` up to the first of `stops`; masks that were never filled are left out."""
    shown: list[int] = []
    for token in ids.tolist():
        if token in stops:
            break
        if token != mask_id:
            shown.append(token)
    return str(tokenizer.decode(shown, skip_special_tokens=True)).strip()
