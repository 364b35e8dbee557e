"""Several images in one call: files, folders and pages of documents, one after another. Cheap to import.

Each is what a call of its own would be: nothing is batched, so every result is the same to the bit.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from shirg_core.cli.errors import BadInput, bad_input
from shirg_core.cli.output import PICTURE_SUFFIXES, STANDARD, JsonLines, check_outputs, write_json
from shirg_core.cli.source import Source, image_files, page_count, page_numbers, read_image
from shirg_core.clock import Clock
from shirg_core.progress import progress_bar


class Item(NamedTuple):
    """One page of an image file, numbered from 1, and what is asked about it."""

    path: Path
    page: int
    question: str = ""

    def __str__(self) -> str:
        return f"{self.path}, page {self.page}" if self.page > 1 else str(self.path)


Work: TypeAlias = Callable[[Item, Source, Clock], None]


@dataclass(frozen=True)
class Batch:
    """What a call is about, and where its results go.

    Attributes:
        items: in order.
        picture: where the picture goes; of several items, the folder of the pictures.
        summary: where the JSON goes.
        stage: name of reading an image in `timings_ms`.
        first: the image of a call about one page, read before anything large is imported, and the clock of that; None
            where there may be several.
    """

    items: Sequence[Item]
    picture: Path | None
    summary: Path | None
    stage: str
    first: tuple[Source, Clock] | None

    @property
    def several(self) -> bool:
        """Whether the call is about several items; there may be one of them, in a folder."""
        return self.first is None

    def pictures(self) -> dict[Item, Path]:
        """Where each picture goes: `bars.png`, `report-p2.png`; `bars-2.png` where that name is taken."""
        if self.picture is None:
            return {}
        if not self.several:
            return {self.items[0]: self.picture}
        names: dict[str, Item] = {}
        questions = list(dict.fromkeys(item.question for item in self.items))
        for item in self.items:
            page = f"-p{item.page}" if item.page > 1 else ""
            question = f"-q{questions.index(item.question) + 1}" if len(questions) > 1 else ""
            stem = name = f"{item.path.stem}{page}{question}"
            number = 1
            while name in names:
                number += 1
                name = f"{stem}-{number}"
            names[name] = item
        return {item: self.picture / f"{name}.png" for name, item in names.items()}

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other runs out of the files of several results.

        Raises:
            BadInput: another run writes there.
        """
        from shirg_core.in_use import hold  # needs a lock of the operating system, and nothing else does

        with ExitStack() as stack:
            if self.several and self.summary is not None and self.summary != STANDARD:
                stack.enter_context(hold(self.summary, BadInput, file=True))
            if self.several and self.picture is not None:
                stack.enter_context(hold(self.picture, BadInput))
            yield

    def writer(self, schema: str, *, resume: bool = False) -> JsonLines | None:
        """Lines for the results of several items; None for the one document of a single item.

        Raises:
            BadInput: see `JsonLines`.
        """
        return JsonLines(self.summary, schema, resume=resume) if self.several else None

    def write(self, lines: JsonLines | None, content: dict[str, Any]) -> None:
        """Write an item's result, if that was asked for.

        Raises:
            BadInput: it cannot be written.
        """
        if lines is not None:
            lines.add(content)
        elif self.summary is not None:
            write_json(self.summary, content)

    def run(self, work: Work, *, quiet: bool, done: Iterable[Item] = ()) -> None:
        """Do the work of every item that is not done; one that cannot be used costs a line that names it.

        Raises:
            BadInput: what is wrong with a single item; or how many of several could not be used, after all the others.
        """
        if self.first is not None:
            work(self.items[0], *self.first)
            return
        left = [item for item in self.items if item not in set(done)]
        failed = 0
        source: Source | None = None
        seen: tuple[Path, int] | None = None
        hidden = quiet or not sys.stderr.isatty()
        with progress_bar(quiet=hidden, redirect=sys.stdout.isatty()) as bar:
            task = bar.add_task("", total=len(left))
            for item in left:
                bar.update(task, description=str(item))
                try:
                    clock = Clock()
                    with clock.stage(self.stage):
                        # The questions about one page follow one another.
                        if source is None or seen != item[:2]:
                            source, seen = read_image(item.path, item.page), item[:2]
                    work(item, source, clock)
                except BadInput as error:
                    failed += 1
                    text = " ".join(str(error).split())
                    where = "" if str(item.path) in text else f"{item}: "
                    sys.stderr.write(f"shirg: error: {where}{text}\n")
                bar.advance(task)
        if failed:
            raise BadInput(f"{failed} of {len(left)} failed, see above")


def find_batch(
    images: Sequence[Path],
    pages: str,
    picture: Path | None,
    summary: Path | None,
    *,
    stage: str = "load",
    questions: Sequence[str] = ("",),
    several: bool = False,
) -> Batch:
    """What a call is about; refuses what cannot be read or written, as far as that can be told before the work.

    With `several`, one item is written as several are.

    Raises:
        BadInput: naming what cannot be used.
    """
    numbers = page_numbers(pages)
    single = not several and len(images) == 1 and len(numbers or ()) == 1 and not images[0].is_dir()
    if single and numbers is not None:
        item = Item(images[0], numbers[0], questions[0])
        check_outputs(item.path, picture, summary)
        clock = Clock()
        with clock.stage(stage):
            source = read_image(item.path, item.page)
        return Batch([item], picture, summary, stage, (source, clock))
    files = [file for image in images for file in image_files(image)]
    if files.count(STANDARD) > 1:
        raise BadInput("the image - is standard input, which holds one file: name it once")
    for file in files:
        if file != STANDARD and not file.exists():
            raise BadInput(f"{file}: no such file")
        check_outputs(file, None, summary)
    if picture is not None:
        if picture.suffix.lower() in PICTURE_SUFFIXES or picture == STANDARD:
            raise BadInput(f"cannot write {picture}: pictures of several images go into a folder, and this is a file")
        with bad_input(OSError, prefix=f"cannot write into {picture}: "):
            picture.mkdir(exist_ok=True)
    counted = ((file, range(1, page_count(file) + 1) if numbers is None else numbers) for file in files)
    items = [Item(file, page, question) for file, own in counted for page in own for question in questions]
    batch = Batch(list(dict.fromkeys(items)), picture, summary, stage, None)
    inputs = {file.resolve() for file in files}
    if taken := next((path for path in batch.pictures().values() if path.resolve() in inputs), None):
        raise BadInput(f"cannot write {taken}: it is one of the images; name another folder")
    return batch
