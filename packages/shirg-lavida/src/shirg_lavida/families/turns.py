"""How a family writes the turns of a conversation."""

from __future__ import annotations

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

    @property
    def template(self) -> str:
        """The same as a chat template, with the header of the assistant's turn behind."""
        text = "message.content | trim" if self.trimmed else "message.content"
        turn = f"{{{{ {self.before_role!r} + message.role + {self.after_role!r} + {text} + {self.end!r} }}}}"
        header = f"{{{{ {self.header('assistant')!r} }}}}"
        return f"{self.start}{{% for message in messages %}}{turn}{{% endfor %}}{header}"
