"""Tasks of several rounds: lmms-eval's `generate_until_multi_round`.

A task's `doc_to_text(doc, previous_output=, round_idx=, previous_round_info=)` returns, after every round, the next
images and text, whether it is over, all answers as it wants them kept, and whatever it needs to remember.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lmms_eval.api.instance import GenerationResult, Instance  # type: ignore[import-untyped]

from shirg_bench.lmms.request import EvalRequest, marked

if TYPE_CHECKING:
    from shirg_bench.lmms.model import ShirgLavida


def play_rounds(model: ShirgLavida, request: Instance) -> tuple[list[str], list[GenerationResult]]:
    """The answers of all rounds as the task keeps them, and what each round cost.

    Raises:
        ValueError: a round that cannot be answered, or a task that does not follow the protocol.
    """
    next_round = request.args[3]
    asked = first_round(model, request)
    doc = model.task_dict[asked.task][asked.split][asked.doc_id]
    outputs: list[str] = []
    spent: list[GenerationResult] = []
    info: object = None
    while True:
        (reply,) = model.answer(model.prepare([asked]))
        spent.append(reply)
        outputs = [*outputs, reply.text]
        step = next_round(doc, previous_output=outputs, round_idx=len(spent), previous_round_info=info)
        if not isinstance(step, tuple) or len(step) != 5:
            raise ValueError(f"task {asked.task!r}: doc_to_text must return five values after a round, got {step!r}")
        images, context, over, outputs, info = step
        if over:
            return list(outputs), spent
        asked = replace(asked, context=context, repeat=len(spent), visuals=_shows(images))


def first_round(model: ShirgLavida, request: Instance) -> EvalRequest:
    """What a request asks before any answer.

    Raises:
        ValueError: a way of sampling that cannot be followed.
    """
    context, gen_kwargs, visuals, _, doc_id, task, split = request.args
    return EvalRequest(0, task, split, doc_id, context, model.sampling(gen_kwargs), 0, visuals, marked(visuals))


def _shows(images: object) -> Any:
    return lambda _doc: images
