"""What each task is made of: page size, kinds of pages, print sizes, number of questions, and whose seeds it takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

from shirg_train.testbed.pages.config import split_seed
from shirg_train.testbed.pages.fonts import TINY

TIERS = ("easy", "hard")


@dataclass(frozen=True)
class Scale:
    """Pages of one size.

    Args:
        size: side of a page in pixels.
        patch: side of a token in pixels, see `PageConfig`.
        channels: 1 (grey) or 3 (tinted).
        facts: fewest and most label–value pairs aimed at per page, needles apart.
        choice: questions drawn per page, of which the first that fits what is wanted is asked.
        prints: print size of the asked value → names of faces of that size.
        questions: of a task.
        by_print: whether metrics are broken down by print size; otherwise by tier.
    """

    size: int
    patch: int
    channels: int
    facts: tuple[int, int]
    choice: int
    prints: Mapping[str, tuple[str, ...]]
    questions: int
    by_print: bool


MICRO = Scale(112, 8, 1, (6, 8), 1, {"5px": (TINY,)}, questions=256, by_print=False)
"""What the embedded model reads."""
HD = Scale(
    size=672,
    patch=14,
    channels=3,
    facts=(24, 40),
    choice=12,
    prints={
        "8px": ("dejavu-8", "mono-8"),
        "10px": ("source-10", "roboto-10"),
        "14px": ("roboto-14",),
        "24px": ("roboto-24",),
    },
    questions=72,
    by_print=True,
)
"""Real fonts; sizes are pixels per em."""


@dataclass(frozen=True)
class TaskSpec:
    """One task.

    Args:
        scale: its pages.
        kinds: what answers stand in, each as often as the others: names of `KINDS`, `receipt` or `needle`.
        first: index in split `test` of the first page that may be used; each task owns a million.
    """

    scale: Scale
    kinds: tuple[str, ...]
    first: int

    def seed(self, number: int) -> int:
        """Seed of this task's candidate page `number`.

        Raises:
            ValueError: a number outside this task's million.
        """
        if not 0 <= number < SEEDS_PER_TASK:
            raise ValueError(f"number must be in 0 … {SEEDS_PER_TASK - 1}, got {number}")
        return split_seed("test", self.first + number)

    def cells(self) -> list[tuple[str, str, str]]:
        """Tier, print size and kind of the questions in turn, so that any few rows in a row are a fair sample."""
        return [(tier, size, kind) for kind, size, tier in product(self.kinds, self.scale.prints, TIERS)]


SEEDS_PER_TASK = 1_000_000
_KINDS = {
    "shirg_docs": ("form", "table", "receipt"),
    "shirg_charts": ("hbars", "bars", "line", "pie"),
    "shirg_needle": ("needle",),
}
# The first million of the test split belongs to accuracy tables, which start at page 0.
TASKS: dict[str, TaskSpec] = {
    name + suffix: TaskSpec(scale, kinds, (1 + number) * SEEDS_PER_TASK)
    for number, ((suffix, scale), (name, kinds)) in enumerate(product((("", MICRO), ("_hd", HD)), _KINDS.items()))
}
"""Name → task."""
