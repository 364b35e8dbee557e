"""Requests as lmms-eval makes them for its own models, and what is shown and asked in them."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lmms_eval.api.instance import Instance  # type: ignore[import-untyped]
from PIL import Image

from shirg_bench.lmms.backends.generation import passed_on
from shirg_bench.lmms.digest import images_digest
from shirg_bench.lmms.request import is_padding, marked, unmarked
from shirg_lavida.prompt.chat import question_words


@dataclass(frozen=True, eq=False)
class BackendRequest:
    """One `generate_until` request.

    Attributes:
        number: its place in the call.
        instance: lmms-eval's, with arguments of its own.
        chat: whether lmms-eval's model reads chat messages, `doc_to_messages`, instead of visuals and a text.
        repeat: how many equal requests came before it.
    """

    number: int
    instance: Instance
    chat: bool
    repeat: int

    @property
    def context(self) -> str:
        """The prompt's text."""
        return str(self.instance.args[0])

    @property
    def task(self) -> str:
        """Name of its task."""
        return str(self.instance.args[4])

    @property
    def split(self) -> str:
        """Of the task's data."""
        return str(self.instance.args[5])

    @property
    def doc_id(self) -> int:
        """Row of the split."""
        return int(self.instance.args[3])

    @property
    def gen_kwargs(self) -> dict[str, Any]:
        """How to answer."""
        found: dict[str, Any] = self.instance.args[2 if self.chat else 1]
        return found

    @property
    def where(self) -> str:
        """For messages."""
        return f"task {self.task!r}, document {self.doc_id}"

    def shown(self, data: Mapping[str, Any]) -> Any:
        """Everything that its model is shown, in JSON's types; an image is its digest under the key `image`.

        Raises:
            ValueError: something else than texts and images, such as a video.
        """
        show = self.instance.args[1 if self.chat else 2]
        found = show(data[self.task][self.split][self.doc_id])
        if not self.chat:
            found = [{"type": "image", "url": visual} for visual in found or ()]
        return _plain(found, self.where)

    def words(self, images: int) -> str:
        """What a selector sees of the text: no placeholder, and not what the task puts around every question."""
        return unmarked(question_words(self.context, images), marked(self.instance.args[1 if self.chat else 2]))


def read_requests(requests: Sequence[Instance], *, chat: bool) -> list[BackendRequest]:
    """Requests that somebody asks, in their order.

    lmms-eval's models change the generation arguments that they are given, so each gets its own.
    """
    asked, seen = [], Counter[tuple[Any, ...]]()
    for number, request in enumerate(requests):
        if is_padding(request):
            continue
        arguments = list(request.args)
        at = 2 if chat else 1
        arguments[at] = passed_on(copy.deepcopy(arguments[at] or {}))
        what = tuple(arguments[3:])
        asked.append(BackendRequest(number, replace(request, arguments=tuple(arguments)), chat, seen[what]))
        seen[what] += 1
    return asked


class Documents:
    """A split that records the order in which documents are read, because lmms-eval's models sort a batch.

    Attributes:
        order: document ids in the order of their first reading.
    """

    def __init__(self, data: Any) -> None:
        self._data = data
        self.order: dict[int, None] = {}

    def __len__(self) -> int:
        return len(self._data)

    def __getitem__(self, doc_id: int) -> Any:
        self.order.setdefault(doc_id)
        return self._data[doc_id]


def count_images(shown: Any) -> int:
    """Images in what `BackendRequest.shown` returns."""
    return sum(1 for _ in _images(shown))


def _images(shown: Any) -> Iterator[str]:
    if isinstance(shown, Mapping):
        if "image" in shown:
            yield shown["image"]
        else:
            for value in shown.values():
                yield from _images(value)
    elif isinstance(shown, list):
        for value in shown:
            yield from _images(value)


def _plain(value: Any, where: str) -> Any:
    if isinstance(value, Image.Image):
        return {"image": images_digest([value])}
    if isinstance(value, Mapping):
        kind = value.get("type", "text")
        if kind not in ("text", "image") or (kind == "image" and not isinstance(value.get("url"), Image.Image)):
            given = kind if kind != "image" else type(value.get("url")).__name__
            raise ValueError(f"{where}: a pruned backend is shown texts and images, got a {given}")
        return {str(name): _plain(part, where) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part, where) for part in value]
    if value is None or isinstance(value, str | int | float):
        return value
    raise ValueError(f"{where}: a pruned backend is shown texts and images, got a {type(value).__name__}")
