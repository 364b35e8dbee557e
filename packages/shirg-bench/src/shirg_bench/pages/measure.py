"""What every variant keeps of every page, with what was computed so far kept in a folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from shirg_bench.pages.features import FeatureCache
from shirg_bench.pages.geometry import VIEWS, covered, known_lines
from shirg_bench.pages.page import PrintedPage, Source
from shirg_bench.pages.reader import Found, Read, picture_key, read_share
from shirg_bench.pages.result import NAN, Cell, Kept, PageResult
from shirg_bench.pages.shown import Pixels, averaged_page, full_page, kept_page
from shirg_bench.pages.variants import Variant
from shirg_bench.results.journal import Journal
from shirg_bench.results.provenance import source_digest
from shirg_core.budget import kept_tokens
from shirg_core.images.views import ImageViews

SHOWN: Mapping[str, Callable[[ImageViews], Pixels]] = {"full page": full_page, "averaged page": averaged_page}
"""What is read beside the variants."""
KNOWN = "known lines"
"""What is measured beside the variants, as a choice that knows the page, see `geometry.known_lines`."""


@dataclass(frozen=True, eq=False)
class Measure:
    """What is compared, and where what was computed is kept.

    Args:
        source: of pages.
        variants: columns of the comparison.
        budgets: fractions or counts.
        views: a key of `geometry.VIEWS`.
        features: the tower's.
        folder: for the journals.
        seed: of random selections; page i's is `seed + i`.
        reader: a function from pixels to text; called when a picture was never read.
        reads: names of what is read, of variants, `SHOWN` and `KNOWN`.
        read_budgets: budgets at which variants and `KNOWN` are read.
    """

    source: Source
    variants: Sequence[Variant]
    budgets: Sequence[float]
    views: str
    features: FeatureCache
    folder: Path
    seed: int = 0
    reader: Callable[[Pixels], Found] | None = None
    reads: Sequence[str] = ()
    read_budgets: Sequence[float] = ()

    @cached_property
    def chosen(self) -> Journal[str]:
        """Kept tokens by page, variant, budget, seed and code, as hexadecimal bits."""
        return Journal(self.folder / "chosen", str)

    @cached_property
    def readings(self) -> Journal[Found]:
        """What was found in a picture."""
        return Journal(self.folder / "read", lambda value: [(str(text), tuple(box)) for text, box in value])

    @cached_property
    def _code(self) -> str:
        return source_digest("shirg_bench.pages", sources=("shirg_core",))

    @property
    def damaged(self) -> Sequence[str]:
        """Lines of the journals that are no entries, see `Journal`."""
        return [*self.chosen.damaged, *(self.readings.damaged if self.reads else ())]

    def page(self, number: int, key: str, page: PrintedPage, *, read: bool = False) -> PageResult:
        """Measure one page.

        Args:
            number: of the page in its source, from 0.
            key: its name.
            page: what the source has under this name.
            read: let the reader read it, too.

        Raises:
            ValueError: a selector that refuses it.
        """
        views = VIEWS[self.views](page.image)
        layout = views.layout
        printed = covered([box for line in page.lines for box in line.boxes], page.image.size, layout)
        value = covered(page.value, page.image.size, layout)
        masks = dict(self._masks(number, key, views))
        for budget in self.budgets:
            k = kept_tokens(budget, layout)
            masks[KNOWN, budget] = known_lines(page.lines, page.image.size, layout, k)
        kept: dict[Cell, Kept] = {}
        for cell, mask in masks.items():
            most = min(int(mask.sum()), int(printed.sum()))
            of_print = int((mask & printed).sum()) / most if most else NAN
            of_value = int((mask & value).sum()) / int(value.sum()) if value.any() else NAN
            kept[cell] = Kept(float(mask.sum()), of_print, of_value)
        for cell, share in self._read(page, views, masks) if read else ():
            kept[cell] = kept.get(cell, Kept())._replace(words=share.words, lines=share.lines)
        with_print = int(printed.sum()) / layout.n_selectable
        return PageResult(key, with_print, page.unreadable, page.outside, kept, masks)

    def _masks(self, number: int, key: str, views: ImageViews) -> Iterator[tuple[Cell, Tensor]]:
        digest, n = self.source.digest(key), views.layout.n_tokens
        page = None
        for variant in self.variants:
            for budget in self.budgets:
                seed = self.seed + number
                facts = [digest, self.views, self.features.tower_name, variant.name, budget, seed, self._code]
                entry = json.dumps(facts)
                bits = self.chosen.find(entry)
                if bits is None:
                    page = page or self.features.features(digest, self.views, views)
                    try:
                        mask = variant.choose(page, budget, seed)
                    except ValueError as error:
                        raise ValueError(f"{variant.name}, page {key}: {error}") from error
                    self.chosen.add(entry, np.packbits(mask.numpy()).tobytes().hex())
                else:
                    mask = torch.from_numpy(np.unpackbits(np.frombuffer(bytes.fromhex(bits), np.uint8), count=n)).bool()
                yield (variant.name, budget), mask

    def _read(self, page: PrintedPage, views: ImageViews, masks: Mapping[Cell, Tensor]) -> Iterator[tuple[Cell, Read]]:
        for name in self.reads:
            pictures = (
                {(name, None): SHOWN[name](views)}
                if name in SHOWN
                else {(name, budget): kept_page(views, masks[name, budget]) for budget in self.read_budgets}
            )
            for cell, picture in pictures.items():
                yield cell, read_share(page.lines, self._found(picture), page.image.size)

    def _found(self, picture: Pixels) -> Found:
        key = picture_key(picture)
        found = self.readings.find(key)
        if found is None:
            if self.reader is None:
                raise ValueError("nothing reads: no reader was given")
            found = self.reader(picture)
            self.readings.add(key, found)
        return found
