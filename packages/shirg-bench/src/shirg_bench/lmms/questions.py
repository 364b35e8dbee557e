"""Questions between the check of a whole evaluation and their answers, so that images are decoded once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shirg_bench.lmms.reply import Question
from shirg_bench.lmms.request import EvalRequest

KEPT_BYTES = 2**30
"""Of decoded images that wait for their answer."""


class Questions:
    """Questions of requests, whose images are decoded when they are first asked for.

    Between `keep` and `take` they wait in memory, up to `KEPT_BYTES`; what goes beyond is decoded again.
    """

    def __init__(self) -> None:
        self._waiting: dict[tuple[object, ...], Question] = {}
        self._room = KEPT_BYTES

    def keep(self, one: EvalRequest, data: Mapping[str, Any]) -> Question:
        """A request's question, which waits for `take` if there is room; `data` as in `EvalRequest.question`."""
        question = one.question(data)
        if _key(one) not in self._waiting and (size := _bytes(question)) <= self._room:
            self._room -= size
            self._waiting[_key(one)] = question
        return question

    def take(self, one: EvalRequest, data: Mapping[str, Any]) -> Question:
        """A request's question, which does not wait any longer."""
        question = self._waiting.pop(_key(one), None)
        if question is None:
            return one.question(data)
        self._room += _bytes(question)
        return question


def _key(one: EvalRequest) -> tuple[object, ...]:
    return one.task, one.split, one.doc_id, one.repeat, one.context


def _bytes(question: Question) -> int:
    return sum(3 * image.width * image.height for image in question.images)
