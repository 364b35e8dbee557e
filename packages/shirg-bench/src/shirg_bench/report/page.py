"""What a report is made of, whatever it is written as. Text may hold `code` between backticks, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
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
    """

    name: str
    caption: str
    figure: Figure


@dataclass(frozen=True, eq=False)
class Section:
    """One heading and what stands under it: text, then pictures, then tables.

    Attributes:
        title: the heading.
        text: paragraphs.
        missing: what should be here and is not, each with how to make it.
        pictures: plots.
        tables: tables.
    """

    title: str
    text: Sequence[str] = ()
    missing: Sequence[str] = ()
    pictures: Sequence[Picture] = field(default_factory=tuple)
    tables: Sequence[Table] = field(default_factory=tuple)
