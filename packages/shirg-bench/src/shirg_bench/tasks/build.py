"""The tasks' tables of questions: which pages are asked about, and what is on them; pages are drawn on loading.

A table is rebuilt from its task's spec alone; the shipped ones are `data/<task>.parquet`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from shirg_bench.tasks.draw import Page, draw
from shirg_bench.tasks.spec import TASKS
from shirg_core.files import atomic_path

SHIPPED = Path(__file__).parent / "data"


@dataclass(frozen=True)
class Row:
    """One question.

    Attributes:
        task: name in `TASKS`.
        seed: of the page.
        tier: of the page.
        print_size: of the answer, a key of its scale's `prints`.
        kind: what the answer stands in.
        face: of the answer.
        question: in words.
        answer: as printed.
        mean_grey: of the page, 0–255, to notice a page generator that draws otherwise.
    """

    task: str
    seed: int
    tier: str
    print_size: str
    kind: str
    face: str
    question: str
    answer: str
    mean_grey: float


def rows(task: str) -> list[Row]:
    """A task's whole table.

    Raises:
        KeyError: an unknown task.
    """
    return list(islice(endless_rows(task), TASKS[task].scale.questions))


def endless_rows(task: str) -> Iterator[Row]:
    """A task's rows without end: pages in order of seed, taken if what they ask fits the cell that is next in turn.

    Raises:
        KeyError: an unknown task.
    """
    spec, number = TASKS[task], 0
    while True:
        for tier, size, kind in spec.cells():
            fits = False
            while not fits:
                seed, number = spec.seed(number), number + 1
                page = draw(spec, tier, size, kind, seed)
                fits = page.kind == kind and page.face in spec.scale.prints[size]
            yield _row(task, seed, tier, size, page)


def _row(task: str, seed: int, tier: str, print_size: str, page: Page) -> Row:
    grey = float(page.image.mean())
    return Row(task, seed, tier, print_size, page.kind, page.face, page.question, page.answer, grey)


def build(folder: Path) -> list[Path]:
    """Write every task's table as `<task>.parquet` into a folder.

    Raises:
        OSError: the folder cannot be written to.
    """
    written = []
    for task in TASKS:
        with atomic_path(folder / f"{task}.parquet") as temporary:
            pq.write_table(pa.Table.from_pylist([asdict(row) for row in rows(task)]), temporary, compression="zstd")
        written.append(folder / f"{task}.parquet")
    return written
