"""What a report is made of, whatever it is written as. Text may hold `code` between backticks, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from matplotlib.figure import Figure

from shirg_bench.results.table import Table


@dataclass(frozen=True, eq=False)
class Picture:
    """A plot.

    Attributes:
        name: of its file, without suffix.
        caption: what to see in it.
        figure: see `shirg_bench.plots`.
        photographs: whether it is made of images, which are written as PNG; plots are SVG.
    """

    name: str
    caption: str
    figure: Figure
    photographs: bool = False

    @property
    def file(self) -> str:
        """Name of its file."""
        return f"{self.name}.png" if self.photographs else f"{self.name}.svg"


@dataclass(frozen=True, eq=False)
class Section:
    """One heading and what stands under it: text, then pictures, then tables.

    Attributes:
        title: the heading.
        text: paragraphs.
        missing: what should be here and is not, each with how to make it.
        pictures: plots.
        tables: tables.
        links: words, and the page beside this one that they lead to.
        folded: whether tables are folded where a page can.
    """

    title: str
    text: Sequence[str] = ()
    missing: Sequence[str] = ()
    pictures: Sequence[Picture] = field(default_factory=tuple)
    tables: Sequence[Table] = field(default_factory=tuple)
    links: Mapping[str, str] = field(default_factory=dict)
    folded: bool = True
