"""The options of `shirg pages`, checked before anything is loaded."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from shirg_bench.accuracy.options import shown
from shirg_bench.names import split_names
from shirg_bench.pages.drawn.source import DrawnPages
from shirg_bench.pages.geometry import VIEWS
from shirg_bench.pages.measure import KNOWN, SHOWN
from shirg_bench.pages.page import Source
from shirg_bench.pages.receipts import Receipts
from shirg_bench.pages.variants import Variant, default_variants, parse_variant
from shirg_core.budget import Budget
from shirg_core.checks import check_choice
from shirg_core.cli.errors import BadInput, bad_input
from shirg_core.cli.methods import parse_budget

DRAWN_PAGES = 60
FEATURED = ("v2", "v3", "v3-tower", "v4", "v4+received", "divprune", "top-edge")
"""Columns of the picture, and what is read, unless others are named: those of these that are compared."""


@dataclass(frozen=True)
class PagesOptions:
    """The command's options as they came.

    Args:
        folder: in SROIE's layout; None = drawn pages.
        pages: `FIRST-LAST`, counted from 0; None = all, or the first `DRAWN_PAGES` drawn ones.
        methods: names with commas between them; None = every one that fits.
        budgets: with commas between them.
        views: `single` or `anyres`.
        reader: read pages.
        read: what is read; None = `FEATURED`.
        read_budgets: with commas between them.
        read_pages: how many of the pages are read, the first ones; None = all.
        featured: columns of the picture; None = `FEATURED`.
        seed: of random selections.
        cache: folder for what was computed.
        output: folder for results.

    Raises:
        BadInput: a name that is not known, something malformed, or a folder that holds no such pages.
    """

    folder: Path | None
    pages: str | None
    methods: str | None
    budgets: str
    views: str
    reader: bool
    read: str | None
    read_budgets: str
    read_pages: int | None
    featured: str | None
    seed: int
    cache: Path
    output: Path

    def __post_init__(self) -> None:
        with bad_input(ValueError):
            check_choice("--views", self.views, VIEWS)
        if self.reader and self.views != "single":
            raise BadInput(f"--reader reads pages of a single view: use --views single, got {self.views!r}")
        if not self.reader and (self.read is not None or self.read_pages is not None):
            raise BadInput("--read and --read-pages need --reader")
        names = [variant.name for variant in self.variants]
        for option, chosen, known in (
            ("--read", self.reads, (*names, *SHOWN, KNOWN)),
            ("--featured", self.columns, names),
            ("--read-budgets", self.read_at if self.reader else (), self.kept_at),
        ):
            if wrong := [name for name in chosen if name not in known]:
                raise BadInput(f"{option} must name some of {', '.join(map(str, known))}, got {wrong[0]!r}")
        _ = self.numbers

    @property
    def source(self) -> Source:
        """Where pages come from.

        Raises:
            BadInput: a folder in another layout.
        """
        if self.folder is None:
            return DrawnPages(self._range[1] + 1 if self._range else DRAWN_PAGES)
        with bad_input(ValueError, OSError):
            return Receipts(self.folder)

    @property
    def numbers(self) -> range:
        """Which pages of the source, by number.

        Raises:
            BadInput: pages that it does not have.
        """
        count = len(self.source.keys())
        first, last = self._range or (0, count - 1)
        if last >= count:
            raise BadInput(f"--pages {self.pages}: there are {count} pages, 0-{count - 1}")
        return range(first, last + 1)

    @property
    def variants(self) -> Sequence[Variant]:
        """What is compared."""
        with bad_input(ValueError, prefix="--methods: "):
            if self.methods is None:
                return default_variants()
            return [parse_variant(name) for name in split_names("--methods", self.methods)]

    @property
    def kept_at(self) -> tuple[Budget, ...]:
        """Budgets, each once."""
        return _budgets(self.budgets)

    @property
    def read_at(self) -> tuple[Budget, ...]:
        """Budgets at which variants are read."""
        return _budgets(self.read_budgets)

    @property
    def reads(self) -> tuple[str, ...]:
        """What is read; nothing without the reader."""
        if not self.reader:
            return ()
        return (*SHOWN, KNOWN, *self._featured()) if self.read is None else split_names("--read", self.read)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the picture."""
        return self._featured() if self.featured is None else split_names("--featured", self.featured)

    @property
    def command(self) -> str:
        """How to measure this again."""
        parts = ["shirg", "pages", *([] if self.folder is None else [shown(self.folder)])]
        parts += [] if self.pages is None else ["--pages", self.pages]
        parts += [] if self.methods is None else ["--methods", self.methods]
        parts += ["--budgets", self.budgets, "--views", self.views, "--seed", str(self.seed)]
        if self.reader:
            parts += ["--reader", "--read", ",".join(self.reads), "--read-budgets", self.read_budgets]
            parts += [] if self.read_pages is None else ["--read-pages", str(self.read_pages)]
        return shlex.join(parts)

    @property
    def _range(self) -> tuple[int, int] | None:
        if self.pages is None:
            return None
        found = re.fullmatch(r"(\d+)-(\d+)", self.pages)
        if found is None or int(found[1]) > int(found[2]):
            raise BadInput(f"--pages must be FIRST-LAST, such as 0-59, got {self.pages!r}")
        return int(found[1]), int(found[2])

    def _featured(self) -> tuple[str, ...]:
        names = [variant.name for variant in self.variants]
        return tuple(name for name in FEATURED if name in names) or tuple(names[:6])


def _budgets(text: str) -> tuple[Budget, ...]:
    return tuple(dict.fromkeys(parse_budget(each.strip()) for each in text.split(",")))
