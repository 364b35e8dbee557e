"""What a page generator can be told: size, tier, print sizes, how much is asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from shirg_train.testbed.pages.fonts import FACES, TINY

Split: TypeAlias = Literal["train", "valid", "test"]
SPLIT_BITS = 40
"""Each split owns 2⁴⁰ consecutive seeds, so that no page is ever in two of them."""
SPLITS: tuple[Split, ...] = ("train", "valid", "test")

KINDS = ("form", "table", "hbars", "bars", "line", "pie", "clutter", "blank")
"""What a block of a page can be; the first six hold facts."""
FACT_KINDS = 6


@dataclass(frozen=True)
class Tier:
    """How much a page hides its facts.

    Args:
        kinds: weight of every entry of `KINDS` for blocks beside the main one, which always holds facts.
        ground: share of fact blocks that stand on hatching, halftone or another texture.
        watermark: share of pages with faint print under everything.
        filler: share of fact blocks whose unused rest is filled with clutter.
        faintest: the lightest grey that facts are printed in, 0 = black.
        paper_noise: standard deviation of the paper's grain, grey levels.
    """

    kinds: tuple[float, ...]
    ground: float
    watermark: float
    filler: float
    faintest: int
    paper_noise: float

    def __post_init__(self) -> None:
        if len(self.kinds) != len(KINDS) or min(self.kinds) < 0 or sum(self.kinds) <= 0:
            raise ValueError(f"kinds needs {len(KINDS)} weights ≥ 0, one for each of {KINDS}, got {self.kinds}")


TIERS: dict[str, Tier] = {
    "easy": Tier((0.18, 0.14, 0.06, 0.06, 0.05, 0.05, 0.08, 0.38), 0.0, 0.0, 0.0, 70, 3.0),
    "hard": Tier((0.12, 0.10, 0.05, 0.05, 0.04, 0.04, 0.60, 0.0), 0.75, 0.6, 1.0, 110, 7.0),
}
TIER_WORDS = {"easy": "plain", "hard": "cluttered"}
"""Tier, as data files and random streams know it → what its pages are called wherever people read or write of them."""
SMALL_PRINT = (TINY, "dejavu-8", "mono-8", "source-9", "roboto-9", "dejavu-9", "slab-9", "source-10", "roboto-10")


@dataclass(frozen=True)
class PageConfig:
    """One kind of page.

    Args:
        size: side of the page in pixels, 112–1024, a multiple of `patch`.
        patch: side of a patch in pixels, for the truth per patch.
        channels: 1 (grey) or 3 (tinted paper and ink).
        tier: `plain` or `cluttered` (kept as its name in `TIERS`), or a `Tier`.
        facts: fewest and most label–value pairs aimed at per page; blocks that cannot hold their share hold fewer.
        questions: asked per page, all different.
        faces: names of `FACES` that facts are printed in, where they fit; `tiny` must be among them, it always fits.
        kinds: weights of the main block's kinds, the first six of `KINDS`.
        parts: parts along a page's side, each cut by itself into blocks with a main one; no block reaches into another.

    Raises:
        ValueError: a value outside its range; the message names it.
    """

    size: int = 224
    patch: int = 14
    channels: int = 1
    tier: str | Tier = "easy"
    facts: tuple[int, int] = (8, 16)
    questions: int = 6
    faces: tuple[str, ...] = SMALL_PRINT
    kinds: tuple[float, ...] = (0.4, 0.3, 0.1, 0.08, 0.06, 0.06)
    parts: int = 1
    difficulty: Tier = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not 112 <= self.size <= 1024 or self.patch < 4 or self.size % self.patch:
            raise ValueError(f"size must be 112–1024 px and a multiple of patch ≥ 4, got {self.size} and {self.patch}")
        if self.channels not in (1, 3):
            raise ValueError(f"channels must be 1 or 3, got {self.channels}")
        if not 1 <= self.questions <= self.facts[0] <= self.facts[1] <= 96:
            raise ValueError(f"1 ≤ questions ≤ facts[0] ≤ facts[1] ≤ 96 must hold, got {self.questions}, {self.facts}")
        unknown = [name for name in self.faces if name not in FACES]
        if unknown or TINY not in self.faces:
            raise ValueError(f"faces must be among {', '.join(FACES)} and include {TINY}, got {self.faces}")
        if len(self.kinds) != FACT_KINDS or min(self.kinds) < 0 or sum(self.kinds) <= 0:
            raise ValueError(f"kinds needs {FACT_KINDS} weights ≥ 0, got {self.kinds}")
        if self.parts < 1 or self.size % self.parts or self.size // self.parts < 112:
            raise ValueError(f"parts must be whole pixels and ≥ 112 px wide, got {self.size} px in {self.parts}")
        if isinstance(self.tier, str):
            object.__setattr__(self, "tier", tier_of(self.tier))
        if isinstance(self.tier, str) and self.tier not in TIERS:
            raise ValueError(f"tier must be one of {', '.join(TIER_WORDS.values())} or a Tier, got {self.tier!r}")
        object.__setattr__(self, "difficulty", TIERS[self.tier] if isinstance(self.tier, str) else self.tier)

    @property
    def side(self) -> int:
        """Patches along a page's side."""
        return self.size // self.patch

    @property
    def slots(self) -> tuple[int, int]:
        """Rows and columns of the cells inside a patch that hold at most one glyph each, down to tiny print."""
        return -(-self.patch // 7), -(-self.patch // 4)


def tier_of(words: str) -> str:
    """The tier of pages by what they are called; a tier stays itself, as older recipes and commands name it."""
    return next((tier for tier, pages in TIER_WORDS.items() if pages == words), words)


def split_seed(split: Split, index: int) -> int:
    """Seed of a split's page number `index`.

    Raises:
        ValueError: an unknown split, or an index outside it.
    """
    if split not in SPLITS or not 0 <= index < 2**SPLIT_BITS:
        raise ValueError(f"split must be one of {SPLITS} and index in 0 … 2^{SPLIT_BITS} − 1, got {split!r}, {index}")
    return (SPLITS.index(split) << SPLIT_BITS) + index
