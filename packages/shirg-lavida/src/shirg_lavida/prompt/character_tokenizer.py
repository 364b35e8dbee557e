"""A tokenizer for models with random weights: printable ASCII, one token per character, and LLaDA's special tokens."""

from __future__ import annotations

import json
import string
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer
from tokenizers.decoders import Fuse
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Split
from tokenizers.processors import TemplateProcessing

from shirg_lavida.families.llada import LLADA
from shirg_lavida.prompt.light_tokenizer import TOKENIZER_FILE

MASK_ID, EOS_ID = 254, 255
BOS, EOS, MASK = "<|startoftext|>", "<|endoftext|>", "<|mdm_mask|>"
HEADERS = ("<|start_header_id|>", "<|end_header_id|>")


def write_tiny_tokenizer(folder: Path, *, adds_bos: bool = False, **config: Any) -> Path:
    """Write it into a checkpoint's folder.

    Returns:
        The folder.
    """
    characters = [ch for ch in string.printable if ch not in "\r\v\f"]
    specials = {BOS: len(characters), LLADA.turns.end_token: len(characters) + 1, MASK: MASK_ID, EOS: EOS_ID}
    specials |= {name: len(characters) + 2 + i for i, name in enumerate(HEADERS)}
    vocabulary = {ch: i for i, ch in enumerate(characters)} | specials
    filler = [i for i in range(EOS_ID) if i not in vocabulary.values()]
    vocabulary |= {f"<|reserved_{i}|>": i for i in filler}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="?"))
    tokenizer.pre_tokenizer = Split("", behavior="isolated")
    tokenizer.decoder = Fuse()
    names = [*specials, *(f"<|reserved_{i}|>" for i in filler)]
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in names])
    if adds_bos:
        tokenizer.post_processor = TemplateProcessing(single=f"{BOS} $A", special_tokens=[(BOS, specials[BOS])])
    tokenizer.save(str(folder / TOKENIZER_FILE))
    whole = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": BOS,
        "eos_token": EOS,
        "pad_token": EOS,
        "clean_up_tokenization_spaces": False,
        **config,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(whole), encoding="utf-8")
    return folder
