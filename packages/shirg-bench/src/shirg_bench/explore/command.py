"""What `shirg explore` does: explores every image, and returns the page."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

from shirg_bench.explore.choosers import ByModel, ByPixels
from shirg_bench.explore.explore import count_runs, explore_methods
from shirg_bench.explore.explored import ExploredImage, MethodRuns
from shirg_bench.explore.html import explorer_page
from shirg_bench.explore.reading import Reader, Reading
from shirg_bench.explore.request import Request
from shirg_bench.pages.reader import load_reader
from shirg_core.budget import Budget, kept_tokens
from shirg_core.cli.errors import bad_input
from shirg_core.cli.material import prepare
from shirg_core.clock import Clock
from shirg_core.methods import Method, get_method
from shirg_core.progress import Report, progress_bar, spinner
from shirg_lavida.checkpoint.embedded import DEFAULT
from shirg_lavida.checkpoint.recommended import Recommended
from shirg_lavida.cli.models import load_pipeline
from shirg_lavida.cli.paths import is_embedded
from shirg_lavida.pipeline import LavidaPipeline

SHOWN_FIRST = 1 / 3
"""Share of the tokens that the page starts at, or the nearest that there is."""


def run(request: Request, images: Sequence[Image.Image], *, quiet: bool = False) -> str:
    """Explore, and return the page.

    Raises:
        BadInput: whatever of the request cannot be used.
    """
    methods, budgets = [get_method(name) for name in request.names], request.budgets_by_words
    pipe = None
    if request.questions:
        with spinner("loading the model", quiet=quiet):
            pipe = load_pipeline(
                request.model, request.adapter, request.device, request.dtype, None, request.vision_tower
            )
    reader = load_reader() if request.reader else None
    explored = []
    with progress_bar(quiet=quiet) as progress:
        task = progress.add_task("", total=len(images) * count_runs(methods, budgets), completed=-1)
        for number, image in enumerate(images):
            name = request.images[number].name

            def report(what: str, name: str = name) -> None:
                progress.update(task, advance=1, description=f"{name} {what}")

            explored.append(_explore(request, number, image, pipe, reader, methods, budgets, report))
    return explorer_page(explored, list(budgets), first_shown(explored[0].methods, budgets))


def first_shown(methods: Sequence[MethodRuns], budgets: Mapping[str, Budget]) -> int:
    """Which of the budgets is nearest to `SHOWN_FIRST`, of the tokens that methods with a budget choose from."""
    layout = next((each.layout for each in methods if each.method.takes_budget), None)
    if layout is None:
        return 0
    shares = []
    for budget in budgets.values():
        with bad_input(ValueError):
            shares.append(kept_tokens(budget, layout) / layout.n_selectable)
    return min(range(len(shares)), key=lambda i: abs(shares[i] - SHOWN_FIRST))


def _explore(
    request: Request,
    number: int,
    image: Image.Image,
    pipe: LavidaPipeline | None,
    reader: Reader | None,
    methods: Sequence[Method],
    budgets: Mapping[str, Budget],
    report: Report,
) -> ExploredImage:
    question = request.question(number)
    asked = None
    if pipe is not None and question is not None:
        recommended = Recommended.from_checkpoint(pipe.model.config.raw)
        asked = ByModel(
            pipe=pipe,
            image=image,
            question=question,
            expected=request.expected(number),
            views=request.views,
            seed=request.seed,
            max_new_tokens=request.max_new_tokens or recommended.max_new_tokens,
            embedded=is_embedded(request.model),
        )
    chooser = asked or ByPixels(prepare(image, request.views or "single", Clock()), request.seed)
    reading = None if reader is None else Reading(image, reader)
    runs = explore_methods(chooser, image, methods, budgets, reading=reading, report=report)
    return ExploredImage(
        # A name that is not UTF-8 cannot be written into the page.
        name=os.fsencode(request.images[number].name).decode(errors="replace"),
        image=image,
        methods=runs,
        model=None if asked is None else Path(request.model or DEFAULT).name,
        question=question,
        expected=request.expected(number),
        notes=() if asked is None else asked.notes(),
        lines=() if reading is None else [line.text for line in reading.lines(runs[0].layout)],
    )
