"""lmms-eval's requests as questions in batches. All tasks of a run come mixed in one call."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from types import MethodType
from typing import Any, TypeVar

from lmms_eval.api.instance import Instance  # type: ignore[import-untyped]
from lmms_eval.api.task import ConfigurableTask  # type: ignore[import-untyped]
from PIL import Image

from shirg_bench.lmms.reply import Question
from shirg_bench.lmms.sampling import Sampling
from shirg_core.images import ImageError, load_image, upright_rgb
from shirg_lavida.prompt.chat import question_words

T = TypeVar("T")
_PADDING_ONLY = "__padding_only__"


@dataclass(frozen=True, eq=False)
class EvalRequest:
    """One request.

    Attributes:
        number: its place in the call.
        task: its name.
        split: of the task's data.
        doc_id: row of the split.
        context: the prompt's text.
        sampling: how to answer.
        repeat: how many equal requests came before it; tasks ask again to see how much answers vary.
        visuals: document → its images.
        marks: see `marked`.
    """

    number: int
    task: str
    split: str
    doc_id: int
    context: str
    sampling: Sampling
    repeat: int
    visuals: Callable[[Any], Any]
    marks: tuple[str, ...] = ()

    def question(self, data: Mapping[str, Any]) -> Question:
        """Fetch the images; a visual that is None, such as an empty field of the data, is no image.

        Raises:
            ValueError: a visual that is no image, such as a video, or an image that cannot be read.
        """
        found = self.visuals(data[self.task][self.split][self.doc_id])
        images = tuple(as_image(v, self.where) for v in found or () if v is not None)
        return Question(self.context, images, unmarked(question_words(self.context, len(images)), self.marks))

    @property
    def where(self) -> str:
        """For messages."""
        return f"task {self.task!r}, document {self.doc_id}"


def as_image(visual: object, where: str) -> Image.Image:
    """An RGB image from what a task calls a visual: a Pillow image or a file's path, the same pixels from both.

    Raises:
        ValueError: anything else, or a file that is no image.
    """
    if isinstance(visual, str):
        try:
            return load_image(visual)
        except ImageError as error:
            raise ValueError(f"{where}: {error}") from error
    if not isinstance(visual, Image.Image):
        raise ValueError(f"{where}: shirg_lavida takes images only, got a {type(visual).__name__}")
    return upright_rgb(visual)


def marked(visuals: object) -> tuple[str, ...]:
    """The instructions that a task puts around its questions, longest first.

    They are the texts in its `lmms_eval_specific_kwargs` under `pre_prompt`, `post_prompt`, and other keys that end so,
    such as `mcq_post_prompt` or `multiple_choice_prompt`.

    Args:
        visuals: the `doc_to_visual` of a request; a method of its task, through which the configuration is found.
    """
    task = visuals.__self__ if isinstance(visuals, MethodType) else None
    given = (task.lmms_eval_specific_kwargs or {}) if isinstance(task, ConfigurableTask) else {}
    texts = {text.strip() for key, text in given.items() if key.endswith("prompt") and isinstance(text, str)}
    return tuple(sorted(filter(None, texts), key=lambda text: (-len(text), text)))


def unmarked(text: str, marks: Sequence[str]) -> str:
    """A question without one of `marks` at its beginning and one at its end; all of it if nothing else is left."""
    rest = text.removeprefix(next(filter(text.startswith, marks), ""))
    rest = rest.removesuffix(next(filter(rest.endswith, marks), ""))
    return rest.strip() or text


def is_padding(request: Instance) -> bool:
    """Whether lmms-eval only pads the ranks with this request; its answer is dropped."""
    return bool(request.metadata.get(_PADDING_ONLY))


def read_requests(
    requests: Sequence[Instance], sampling: Callable[[Mapping[str, object]], Sampling]
) -> list[EvalRequest]:
    """The `generate_until` requests that somebody asks, in their order; they stay as they are.

    Raises:
        ValueError: what `sampling` refuses.
    """
    asked, seen = [], Counter[tuple[str, str, int]]()
    for number, request in enumerate(requests):
        if not is_padding(request):
            context, gen_kwargs, visuals, doc_id, task, split = request.args
            how, repeat = sampling(gen_kwargs), seen[task, split, doc_id]
            asked.append(EvalRequest(number, task, split, doc_id, context, how, repeat, visuals, marked(visuals)))
            seen[task, split, doc_id] += 1
    return asked


def batches(asked: Sequence[T], size: int, alike: Callable[[T], Hashable]) -> list[list[T]]:
    """Requests that are `alike`, up to `size` at a time, in the order they came.

    The cut depends on the requests alone, not on what a journal holds.
    """
    groups: dict[Hashable, list[T]] = {}
    for one in asked:
        groups.setdefault(alike(one), []).append(one)
    return [group[i : i + size] for group in groups.values() for i in range(0, len(group), size)]
