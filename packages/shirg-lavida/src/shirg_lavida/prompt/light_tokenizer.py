"""The part of a tokenizer that answering needs, without importing transformers for it.

Importing transformers takes longer than everything that `shirg ask` does after importing torch; of it a plain tokenizer
needs an encoder, which the tokenizers library is, and its chat template. A template of a family's own layout is written
out here. A test holds this and transformers' tokenizer together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tokenizers import Tokenizer
from torch import Tensor

from shirg_lavida.families.registry import FAMILIES
from shirg_lavida.families.turns import Turns

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

TOKENIZER_FILE, CONFIG_FILE = "tokenizer.json", "tokenizer_config.json"
_NAMED = ("bos_token", "eos_token", "pad_token", "mask_token", "unk_token")
_KNOWN = {*_NAMED, "tokenizer_class", "chat_template", "clean_up_tokenization_spaces", "model_max_length"}
_OTHER_FILES = ("*token*.json", "*chat_template*")
"""What else may say something about a tokenizer."""


class Encoded(NamedTuple):
    """Text as ids."""

    input_ids: list[int]


class LightTokenizer:
    """A `PreTrainedTokenizerFast` that imports transformers when it is asked for more than answering needs."""

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        self.folder = folder
        self.backend_tokenizer: Tokenizer = Tokenizer.from_file(str(folder / TOKENIZER_FILE))
        self.chat_template: str | None = config.get("chat_template")
        self.bos_token_id = self.backend_tokenizer.token_to_id(config["bos_token"])

    def __call__(self, text: str, *, add_special_tokens: bool = True) -> Encoded:
        """Ids of a text, whole and unpadded."""
        self.backend_tokenizer.no_truncation()
        self.backend_tokenizer.no_padding()
        return Encoded(self.backend_tokenizer.encode(text, add_special_tokens=add_special_tokens).ids)

    def __len__(self) -> int:
        return int(self.backend_tokenizer.get_vocab_size())

    def decode(self, ids: int | Sequence[int] | Tensor, skip_special_tokens: bool = False) -> str:
        """Text of one id, or of `ids [L]`."""
        plain = ids.tolist() if isinstance(ids, Tensor) else ids
        listed = [plain] if isinstance(plain, int) else list(plain)
        return str(self.backend_tokenizer.decode(listed, skip_special_tokens=skip_special_tokens))

    def apply_chat_template(
        self, conversation: Sequence[Mapping[str, str]], *, chat_template: str | None = None, **options: Any
    ) -> Any:
        """See transformers; a family's own layout needs no template engine."""
        turns = _turns_of(chat_template or self.chat_template)
        if turns is None or options != {"tokenize": False, "add_generation_prompt": True}:
            listed = [dict(turn) for turn in conversation]
            return self.full.apply_chat_template(listed, chat_template=chat_template, **options)
        return turns.write(conversation)

    @cached_property
    def full(self) -> PreTrainedTokenizerFast:
        """Transformers' tokenizer, on the same encoder from now on: what is added to one is known to the other."""
        from transformers import PreTrainedTokenizerFast

        full: PreTrainedTokenizerFast = PreTrainedTokenizerFast.from_pretrained(str(self.folder), local_files_only=True)
        self.backend_tokenizer = full.backend_tokenizer
        return full

    def __getattr__(self, name: str) -> Any:
        # Copying and pickling ask for methods that need not be there, before there is a folder.
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.full, name)


def is_light(folder: Path, config: Mapping[str, Any], added: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a folder's tokenizer is just its encoder, special tokens and a chat template of a family's layout."""
    special = {token["content"] for token in added if token["special"]}
    template = config.get("chat_template")
    turns = _turns_of(template)
    return (
        config.get("tokenizer_class") == "PreTrainedTokenizerFast"
        and config.get("clean_up_tokenization_spaces") is False
        and set(config) <= _KNOWN
        and all(isinstance(config[name], str) and config[name] in special for name in _NAMED if name in config)
        and "bos_token" in config
        and (template is None or (turns is not None and config["bos_token"] == turns.start))
        and {path.name for pattern in _OTHER_FILES for path in folder.glob(pattern)} <= {TOKENIZER_FILE, CONFIG_FILE}
    )


def _turns_of(template: str | None) -> Turns | None:
    """The layout that a chat template writes, if it is a family's."""
    return next((f.turns for f in FAMILIES.values() if template in (f.turns.template, f.turns.released_template)), None)
