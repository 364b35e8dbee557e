"""How a family writes the turns of a conversation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Turns:
    """A conversation is `start`, then for each turn `before_role`, the role, `after_role`, the text, `end`.

    Args:
        start: of a conversation.
        before_role: of a turn.
        after_role: before the text.
        end: of a turn; a special token first.
        trimmed: whether the chat template strips a turn's text.
    """

    start: str
    before_role: str
    after_role: str
    end: str
    trimmed: bool

    def header(self, role: str) -> str:
        """What opens a role's turn."""
        return f"{self.before_role}{role}{self.after_role}"

    @property
    def end_token(self) -> str:
        """The special token that ends a turn."""
        return self.end.strip()

    @property
    def special_tokens(self) -> list[str]:
        """What a tokenizer must have."""
        return [token for text in (self.start, self.before_role, self.after_role, self.end) if (token := text.strip())]

    def write(self, conversation: Sequence[Mapping[str, str]]) -> str:
        """What `template` makes of turns with a `role` and a `content`."""
        texts = ((turn["role"], turn["content"].strip() if self.trimmed else turn["content"]) for turn in conversation)
        body = "".join(f"{self.header(role)}{text}{self.end}" for role, text in texts)
        return f"{self.start}{body}{self.header('assistant')}"

    @property
    def released_template(self) -> str:
        """The same with `bos_token` for the start, as a checkpoint's `tokenizer_config.json` writes it."""
        text = "message.content | trim" if self.trimmed else "message.content"
        turn = f"{self.before_role}{{{{ message.role }}}}{self.after_role}{{{{ {text} }}}}{self.end}"
        header = f"{{% if add_generation_prompt %}}{self.header('assistant')}{{% endif %}}"
        return f"{{{{ bos_token }}}}{{% for message in messages %}}{turn}{{% endfor %}}{header}"

    @property
    def template(self) -> str:
        """The same as a chat template, with the header of the assistant's turn behind."""
        text = "message.content | trim" if self.trimmed else "message.content"
        turn = f"{{{{ {self.before_role!r} + message.role + {self.after_role!r} + {text} + {self.end!r} }}}}"
        header = f"{{{{ {self.header('assistant')!r} }}}}"
        return f"{self.start}{{% for message in messages %}}{turn}{{% endfor %}}{header}"
