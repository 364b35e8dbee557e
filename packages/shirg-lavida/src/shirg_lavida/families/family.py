"""A family of LaViDa checkpoints: everything in which LaViDa-LLaDA and LaViDa-Dream differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from shirg_lavida.checkpoint.empty import no_weights
from shirg_lavida.families.turns import Turns
from shirg_lavida.language.backbone import Backbone
from shirg_lavida.language.config import BackboneConfig


@dataclass(frozen=True, eq=False)
class Family:
    """The differences.

    Args:
        name: for people.
        model_type: of `config.json`.
        architecture: of `config.json`.
        read: `config.json` → shape of the language model.
        write: shape of the language model → its keys of `config.json`.
        key: the backbone's name of a parameter → its key in a checkpoint.
        mask_token_id: the mask; a checkpoint's `mask_token_id` wins.
        eos_token_id: end of text; a checkpoint's `eos_token_id` wins.
        turns: how a conversation is written, where a tokenizer has no chat template of its own.
        sampling: options of `SamplingOptions` in which the released sampler differs from LLaDA's.
    """

    name: str
    model_type: str
    architecture: str
    read: Callable[[Mapping[str, Any]], BackboneConfig]
    write: Callable[[BackboneConfig], dict[str, Any]]
    key: Callable[[str], str]
    mask_token_id: int
    eos_token_id: int
    turns: Turns
    sampling: Mapping[str, Any] = field(default_factory=dict)

    @property
    def tied_keys(self) -> tuple[str, str]:
        """Keys of the output and the embedding, which are one weight under `weight_tying`."""
        return self.key("ff_out.weight"), self.key("wte.weight")

    def key_map(self, config: BackboneConfig) -> dict[str, str]:
        """Checkpoint key → the backbone's own parameter name, for every parameter.

        A tied output has no key of its own.
        """
        with no_weights():
            names = Backbone(config).state_dict().keys()
        return {self.key(name): name for name in names}


def required(config: Mapping[str, Any], key: str) -> int:
    """An integer of `config.json`.

    Raises:
        ValueError: absent, or not an integer.
    """
    value = config.get(key)
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"config key {key!r} must be an integer, got {value!r}")
    return value


def check_supported(config: Mapping[str, Any], supported: Mapping[str, tuple[tuple[Any, ...], Any]]) -> None:
    """Whether a `config.json` asks for what the backbone implements.

    `supported`: key → (values that the backbone implements, the value upstream assumes when the key is missing).

    Raises:
        ValueError: it asks for something else; the message names the key.
    """
    for key, (values, default) in supported.items():
        if (value := config.get(key, default)) not in values:
            raise ValueError(f"config key {key!r} must be {' or '.join(map(repr, values))}, got {value!r}")
