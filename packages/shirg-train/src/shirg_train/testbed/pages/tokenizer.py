"""The micro model's tokenizer: LLaDA's special tokens, one token per label and question word, one per other character.

Text is read in lower case. Every figure and mark is a token of its own, so an answer's tokens are its characters; a
word that is not in the vocabulary is spelt, so any question in printable ASCII can be asked. Decoding joins the tokens.
"""

from __future__ import annotations

import json
import string
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tokenizers import AddedToken, Regex, Tokenizer
from tokenizers.decoders import Fuse
from tokenizers.models import Unigram
from tokenizers.normalizers import Lowercase
from tokenizers.pre_tokenizers import Split

from shirg_lavida.families.llada import LLADA
from shirg_train.testbed.pages.words import LABELS

MASK, EOS, EOT, BOS = "<|mdm_mask|>", "<|endoftext|>", "<|eot_id|>", "<|startoftext|>"
START_HEADER, END_HEADER, UNKNOWN = "<|start_header_id|>", "<|end_header_id|>", "<|unknown|>"
SPECIAL = (EOS, BOS, EOT, START_HEADER, END_HEADER, MASK, UNKNOWN)
ROLES = ("user", "assistant", "system")
_QUESTION_WORDS = (
    "what is the of how much many does say read value number for to show give find tell me please a an which are was "
    "on in at this page form table chart bar line pie label word it its and"
)
CHAT_TEMPLATE = LLADA.turns.released_template
"""Every turn: its role between the header tokens, an empty line, the text, end of turn."""
_WORD_SCORE, _CHARACTER_SCORE = -1.0, -10.0


class IdOf(Protocol):
    """What knows the id of a token by its name: both the tokenizers library's and transformers' tokenizers do."""

    def token_to_id(self, token: str) -> int | None:
        """The id, or None for a token that is not in the vocabulary."""
        ...


@dataclass(frozen=True)
class SpecialIds:
    """Ids of the special tokens, as a tokenizer file has them."""

    mask: int
    eos: int
    eot: int
    bos: int
    start_header: int
    end_header: int

    @classmethod
    def of(cls, tokenizer: IdOf) -> SpecialIds:
        """Look the names up.

        Raises:
            ValueError: a tokenizer that lacks one of them.
        """
        names = (MASK, EOS, EOT, BOS, START_HEADER, END_HEADER)
        ids = [tokenizer.token_to_id(name) for name in names]
        if None in ids:
            raise ValueError(f"the tokenizer has no token {names[ids.index(None)]!r}")
        return cls(*(token for token in ids if token is not None))


def build_tokenizer() -> Tokenizer:
    """The tokenizer, from the label and word lists alone."""
    characters = sorted(set(string.printable.lower()) - set("\t\r\v\f"))
    words = [*LABELS, *ROLES, *_QUESTION_WORDS.split()]
    pieces = dict.fromkeys([*SPECIAL, *characters, *words, *(" " + word for word in words)])
    scores = [(piece, _CHARACTER_SCORE if len(piece) == 1 else _WORD_SCORE) for piece in pieces]
    tokenizer = Tokenizer(Unigram(scores, unk_id=SPECIAL.index(UNKNOWN), byte_fallback=False))
    tokenizer.normalizer = Lowercase()
    tokenizer.pre_tokenizer = Split(Regex(r" ?[a-z]+|\n|\s|[^a-z\s]"), behavior="isolated")
    tokenizer.decoder = Fuse()
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in SPECIAL])
    return tokenizer


def save_tokenizer(folder: Path) -> None:
    """Write `tokenizer.json` and `tokenizer_config.json`, as transformers' `AutoTokenizer` reads them."""
    folder.mkdir(parents=True, exist_ok=True)
    build_tokenizer().save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": BOS,
        "eos_token": EOS,
        "pad_token": EOS,
        "mask_token": MASK,
        "unk_token": UNKNOWN,
        "chat_template": CHAT_TEMPLATE,
        "clean_up_tokenization_spaces": False,
        "model_max_length": 4096,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
