"""What a user of `shirg explore` typed, checked as far as that needs no torch. Cheap to import."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from shirg_bench.names import split_names
from shirg_core.checks import integer, random_seed
from shirg_core.cli.errors import BadInput, bad_input
from shirg_core.cli.methods import check_method, parse_budget

if TYPE_CHECKING:
    from shirg_core.budget import Budget

WITHOUT_MODEL = ("v4", "v3", "v2", "top-edge", "random")
WITH_MODEL = ("v4", "v3", "v2", "random", "pooling", "full")
BUDGETS = "1/24,1/16,1/12,1/8,1/6,1/5,1/4,1/3,1/2,2/3,3/4,100%"


@dataclass(frozen=True)
class Request:
    """What the user typed; None = not given. See `shirg explore --help`.

    Raises:
        BadInput: an unknown method, a malformed budget, as many questions or answers as images are not there, or an
            option that needs a question.
    """

    images: Sequence[Path]
    questions: Sequence[str]
    answers: Sequence[str]
    methods: str | None
    budgets: str
    views: str | None
    model: str | None
    vision_tower: str | None
    adapter: Path | None
    device: str | None
    dtype: str | None
    max_new_tokens: int | None
    page: int
    reader: bool
    seed: int

    def __post_init__(self) -> None:
        for name in self.names:
            check_method(name, None)
        _ = self.budgets_by_words
        count = len(self.images)
        for option, given in (("--question", self.questions), ("--answer", self.answers)):
            if len(given) not in (0, 1, count):
                wanted = "once" if count == 1 else f"once, or once for each of the {count} images"
                raise BadInput(f"{option} is given {wanted}, got {len(given)}")
        needing = {
            "--answer": self.answers or None,
            "--model": self.model,
            "--vision-tower": self.vision_tower,
            "--adapter": self.adapter,
            "--device": self.device,
            "--dtype": self.dtype,
            "--max-new-tokens": self.max_new_tokens,
        }
        if not self.questions and (given := [option for option, value in needing.items() if value is not None]):
            raise BadInput(f"{given[0]} is about a model's answers: give --question, too")
        with bad_input(ValueError):
            random_seed("--seed", self.seed)
            if self.max_new_tokens is not None:
                integer("--max-new-tokens", self.max_new_tokens, low=1)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of methods, in the order of the page."""
        if self.methods is not None:
            return split_names("--methods", self.methods)
        return WITH_MODEL if self.questions else WITHOUT_MODEL

    @property
    def budgets_by_words(self) -> Mapping[str, Budget]:
        """Budgets by what they are called on the page."""
        return {words: parse_budget(words) for words in split_names("--budgets", self.budgets)}

    def question(self, number: int) -> str | None:
        """What is asked about an image; None = nothing."""
        return _nth(self.questions, number)

    def expected(self, number: int) -> str | None:
        """The right answer about an image, where the user knows it."""
        return _nth(self.answers, number)


def _nth(given: Sequence[str], number: int) -> str | None:
    if not given:
        return None
    return given[number] if len(given) > 1 else given[0]
