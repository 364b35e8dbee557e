"""Synthetic pages as training samples: drawn from their seeds when they are read, nothing on disk."""

from __future__ import annotations

import io
from dataclasses import dataclass

from shirg_train.data.record import Record, SyntheticData, Turn
from shirg_train.testbed.pages.config import PageConfig, split_seed, tier_of
from shirg_train.testbed.pages.fonts import TINY
from shirg_train.testbed.pages.page import draw_pages
from shirg_train.testbed.pages.tokens import TEMPLATES


@dataclass(frozen=True)
class PagesConfig(SyntheticData):
    """Which pages; the defaults are those the embedded micro model reads.

    Args:
        count: of pages, the training split's first.
        tiers: `plain` or `cluttered`, taken in turn.
        size: side in pixels.
        patch: side of a patch in pixels.
        facts: fewest and most label–value pairs aimed at.
        questions: asked per page, one of them in every epoch.
        faces: print sizes of the facts.

    Raises:
        ValueError: values that make no pages.
    """

    count: int
    tiers: tuple[str, ...] = ("easy", "hard")
    size: int = 112
    patch: int = 8
    facts: tuple[int, ...] = (6, 8)
    questions: int = 4
    faces: tuple[str, ...] = (TINY,)

    def __post_init__(self) -> None:
        if self.count < 1 or not self.tiers:
            raise ValueError(f"count must be ≥ 1 and tiers not empty, got {self.count} and {self.tiers}")
        if len(self.facts) != 2:
            raise ValueError(f"facts must be the fewest and the most, got {self.facts}")
        object.__setattr__(self, "tiers", tuple(map(tier_of, self.tiers)))
        for tier in self.tiers:
            self.page_config(tier)

    def open(self) -> PagesSource:
        """The pages."""
        return PagesSource(self)

    def page_config(self, tier: str) -> PageConfig:
        """The generator's config for one tier."""
        facts = (self.facts[0], self.facts[1])
        return PageConfig(self.size, self.patch, 1, tier, facts, self.questions, self.faces)


class PagesSource:
    """Page number i, of tier i mod their number, with all its questions as one conversation."""

    groups = None
    fingerprint = "pages"
    """Whatever else makes pages differ is in the recipe."""

    def __init__(self, config: PagesConfig) -> None:
        self.config = config

    def __len__(self) -> int:
        return self.config.count

    def read(self, index: int) -> Record:
        """Page number `index`."""
        page = draw_pages(
            self.config.page_config(self.config.tiers[index % len(self.config.tiers)]), [split_seed("train", index)]
        )
        file = io.BytesIO()
        page.image(0).save(file, "PNG", compress_level=1)
        turns = [
            turn
            for asked in range(self.config.questions)
            for turn in (Turn("user", page.question(0, asked, TEMPLATES[0])), Turn("assistant", page.answer(0, asked)))
        ]
        return Record(f"page-{index}", (file.getvalue(),), tuple(turns), independent=True)
