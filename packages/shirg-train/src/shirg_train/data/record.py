"""One training sample as it lies on disk, and the contract of what reads it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, Literal, Protocol, TypeAlias

IMAGE_PLACEHOLDER = "<image>"
PAGES = "shirg_train.testbed.pages_source:PagesConfig"
_PIECE = 1 << 20
Role: TypeAlias = Literal["system", "user", "assistant"]
_ROLES: dict[str, Role] = {
    "system": "system", "human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant",
}  # fmt: skip


class CorruptSampleError(ValueError):
    """A sample that cannot be used; the message starts with its kind, up to the first colon."""


@dataclass(frozen=True)
class Turn:
    """What one side said."""

    role: Role
    text: str


@dataclass(frozen=True)
class Record:
    """A conversation about images.

    Attributes:
        key: names the sample in reports.
        images: encoded images, or files that hold them.
        turns: in order.
        independent: every question stands for itself and is about all images; else it follows what was said before.
    """

    key: str
    images: tuple[bytes | Path, ...]
    turns: tuple[Turn, ...]
    independent: bool = False


class Source(Protocol):
    """Samples by number."""

    @property
    def groups(self) -> Sequence[int] | None:
        """Sizes of runs of samples that are cheap to read together; None when all are equally cheap."""
        ...

    @property
    def fingerprint(self) -> str:
        """The same for the same samples in the same order, wherever they lie; image files beside them do not count."""
        ...

    def __len__(self) -> int: ...

    def read(self, index: int) -> Record:
        """Sample number `index`.

        Raises:
            CorruptSampleError: it cannot be used.
        """
        ...


@dataclass(frozen=True)
class SyntheticData(ABC):
    """Samples that are drawn while training instead of read; `PAGES` names the one kind there is.

    The trainer imports it only for a recipe that asks for it: see `concrete`.
    """

    @classmethod
    def concrete(cls) -> type[SyntheticData]:
        """The class whose fields a recipe's mapping holds."""
        found: type[SyntheticData] = resolve_name(PAGES)
        return found

    @abstractmethod
    def open(self) -> Source:
        """The samples."""


def content_mark(files: Iterable[Path], *, whole: bool) -> str:
    """A digest of files' content, not of their names.

    Args:
        files: in order.
        whole: all bytes; else of each file its size and its first and last mebibyte, where containers keep their
            tables.
    """
    digest = blake2b(digest_size=16)
    for path in files:
        size = path.stat().st_size
        digest.update(size.to_bytes(8, "little"))
        with path.open("rb") as file:
            if whole:
                while piece := file.read(_PIECE):
                    digest.update(piece)
            else:
                digest.update(file.read(_PIECE))
                file.seek(max(0, size - _PIECE))
                digest.update(file.read())
    return digest.hexdigest()


def parse_turns(raw: object) -> tuple[Turn, ...]:
    """Turns from `[{"from": "human", "value": …}, …]` or `[{"role": "user", "content": …}, …]`.

    Raises:
        CorruptSampleError: anything else.
    """
    if not isinstance(raw, Iterable) or isinstance(raw, str | bytes | Mapping):
        raise CorruptSampleError(f"conversation: expected a list of turns, got {type(raw).__name__}")
    turns = []
    for entry in raw:
        role, text = _role_and_text(entry)
        if role not in _ROLES or not isinstance(text, str):
            raise CorruptSampleError(f"conversation: a turn needs a known role and a text, got {entry!r}")
        turns.append(Turn(_ROLES[role], text))
    return tuple(turns)


def _role_and_text(entry: object) -> tuple[Any, Any]:
    if not isinstance(entry, Mapping):
        return None, None
    return entry.get("role", entry.get("from")), entry.get("content", entry.get("value"))
