"""A checkpoint's tokenizer, and answers as text."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from torch import Tensor

from shirg_core.files import read_json
from shirg_lavida.config import LavidaConfig
from shirg_lavida.prompt.light_tokenizer import CONFIG_FILE, TOKENIZER_FILE, LightTokenizer, is_light

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

ChatTokenizer: TypeAlias = "PreTrainedTokenizerFast | LightTokenizer"
BPE_FILES = ("vocab.json", "merges.txt")
"""What Dream's tokenizer comes in, which is Qwen2's with other special tokens."""


def read_tokenizer(folder: Path) -> ChatTokenizer:
    """The tokenizer in a checkpoint's folder; nothing is downloaded and no code in the folder is run.

    Args:
        folder: holds `tokenizer.json`, or else `BPE_FILES`, and `tokenizer_config.json` with the names of the special
            tokens.

    Raises:
        FileNotFoundError: neither is there.
        ValueError: a damaged tokenizer.
    """
    has_encoder = (folder / TOKENIZER_FILE).is_file()
    if not has_encoder and not all((folder / name).is_file() for name in BPE_FILES):
        raise FileNotFoundError(
            f"no tokenizer in {folder}: {TOKENIZER_FILE} is missing, and {' and '.join(BPE_FILES)} are not both there "
            "(load_lavida works without one, on token ids)"
        )
    added = read_json(folder / TOKENIZER_FILE, "the tokenizer").get("added_tokens") if has_encoder else None
    try:
        config = read_json(folder / CONFIG_FILE, "the tokenizer's config") if (folder / CONFIG_FILE).is_file() else {}
        if added is not None and is_light(folder, config, added):
            return LightTokenizer(folder, config)
        return _read_with_transformers(folder, has_encoder=has_encoder)
    except Exception as error:  # the tokenizers library raises nothing narrower
        raise ValueError(f"the tokenizer in {folder} is damaged: {error}") from error


def _read_with_transformers(folder: Path, *, has_encoder: bool) -> PreTrainedTokenizerFast:
    from transformers import PreTrainedTokenizerFast, Qwen2Tokenizer

    kind = PreTrainedTokenizerFast if has_encoder else Qwen2Tokenizer
    tokenizer = kind.from_pretrained(str(folder), local_files_only=True)
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise TypeError(f"it is a {type(tokenizer).__name__}")
    return tokenizer


def load_tokenizer(folder: Path, vocab_size: int) -> ChatTokenizer:
    """`read_tokenizer` for a model.

    Raises:
        FileNotFoundError: see there.
        ValueError: a damaged tokenizer, or one with more tokens than the model.
    """
    tokenizer = read_tokenizer(folder)
    if len(tokenizer) > vocab_size:
        raise ValueError(f"the tokenizer in {folder} has {len(tokenizer)} tokens, the model only {vocab_size}")
    return tokenizer


def stop_ids(tokenizer: ChatTokenizer, config: LavidaConfig) -> frozenset[int]:
    """Ids that end an answer: the model's end of text, and its family's end of turn if the tokenizer has it.

    LLaDA and Dream end a turn with the latter and fill up with end of text.
    """
    # Not from `get_vocab`, which copies the whole vocabulary.
    end_of_turn = tokenizer.backend_tokenizer.token_to_id(config.family.turns.end_token)
    return frozenset({config.eos_token_id} if end_of_turn is None else {config.eos_token_id, end_of_turn})


def answer_text(tokenizer: ChatTokenizer, ids: Tensor, *, stops: frozenset[int], mask_id: int) -> str:
    """The text of `ids [L]` up to the first of `stops`; masks that were never filled are left out."""
    shown: list[int] = []
    for token in ids.tolist():
        if token in stops:
            break
        if token != mask_id:
            shown.append(token)
    return str(tokenizer.decode(shown, skip_special_tokens=True)).strip()
