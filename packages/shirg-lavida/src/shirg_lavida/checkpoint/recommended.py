"""What a checkpoint recommends for itself: the optional object `shirg` in its `config.json`.

Released LaViDa checkpoints have none, and get the defaults below, which are LaViDa's. A checkpoint that was trained on
other views or without a system turn says so here, so that asking it needs no options.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, get_args

from shirg_core.budget import Budget, check_budget
from shirg_lavida.prompt.chat import SYSTEM_PROMPT, ChatStyle
from shirg_lavida.vision.views import Views

CONFIG_KEY = "shirg"


@dataclass(frozen=True)
class Recommended:
    """The object's keys.

    Args:
        system: see `ChatStyle`.
        released_ids: see `ChatStyle`.
        views: views for every method; None = each method's own.
        method: of `shirg ask`.
        budget: of `shirg ask`: K, or a fraction of the selectable tokens. A quarter of LaViDa's is 512 to 1024.
        max_new_tokens: of `shirg ask`; longer answers are decoded in blocks of this length.
        lookahead: see `shirg_lavida.sampling.options.SamplingOptions`. Unless told otherwise off where the checkpoint
            recommends a length, which is that of the answers it was trained on.

    Raises:
        ValueError: a value of the wrong kind or out of range.
    """

    system: str | None = SYSTEM_PROMPT
    released_ids: bool = True
    views: Views | None = None
    method: str = "v4"
    budget: Budget = 0.25
    max_new_tokens: int = 32
    lookahead: bool = True

    def __post_init__(self) -> None:
        kinds = {"system": str | None, "released_ids": bool, "method": str, "max_new_tokens": int, "lookahead": bool}
        for name, kind in kinds.items():
            if not isinstance(getattr(self, name), kind):
                raise ValueError(f"config key {CONFIG_KEY}.{name} must be {kind}, got {getattr(self, name)!r}")
        if self.views not in (None, *get_args(Views)):
            raise ValueError(f"config key {CONFIG_KEY}.views must be one of {get_args(Views)}, got {self.views!r}")
        check_budget(self.budget)

    @classmethod
    def from_checkpoint(cls, raw: Mapping[str, Any]) -> Recommended:
        """Read a checkpoint's `config.json`.

        Raises:
            ValueError: not an object, an unknown key, or a value of the wrong kind.
        """
        values = raw.get(CONFIG_KEY, {})
        if not isinstance(values, Mapping):
            raise ValueError(f"config key {CONFIG_KEY!r} must be an object, got {values!r}")
        known = [field.name for field in fields(cls)]
        if unknown := [name for name in values if name not in known]:
            raise ValueError(f"config key {CONFIG_KEY}.{unknown[0]} is unknown; known: {', '.join(known)}")
        return cls(**{"lookahead": "max_new_tokens" not in values, **values})

    @property
    def chat(self) -> ChatStyle:
        """How to talk to it."""
        return ChatStyle(self.system, self.released_ids)

    @property
    def sampling(self) -> dict[str, Any]:
        """Of `shirg_lavida.sampling.options.SamplingOptions`, where a pipeline is not told otherwise."""
        return {"block_length": self.max_new_tokens, "lookahead": self.lookahead, "stop_at_eos": True}
