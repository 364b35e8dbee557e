"""`shirg ask` as numbered stages: model, answers, report, picture and summary."""

from __future__ import annotations

import sys
from typing import Any

import torch
from PIL import Image
from rich.console import Console

from shirg_core.cli.errors import BadInput, bad_input
from shirg_core.cli.methods import parse_any_budget
from shirg_core.cli.output import files_of, print_written, report_console, write_file, write_json
from shirg_core.cli.source import Source
from shirg_core.clock import Clock
from shirg_core.methods import get_method
from shirg_core.progress import spinner
from shirg_lavida.checkpoint.recommended import Recommended
from shirg_lavida.cli.models import load_pipeline
from shirg_lavida.cli.notes import embedded_notes, empty_note
from shirg_lavida.cli.paths import is_embedded
from shirg_lavida.cli.report import Outcome, print_answer, print_comparison, print_text, request_json
from shirg_lavida.cli.request import Request
from shirg_lavida.cli.sampling import NAMES
from shirg_lavida.cli.stream import live_steps
from shirg_lavida.methods import with_method
from shirg_lavida.pipeline import LavidaPipeline
from shirg_lavida.sampling.answer import Answer


def run(request: Request, source: Source, clock: Clock) -> None:
    """Answer, and write what was asked for.

    Args:
        request: what the user typed, checked as far as that needs no model.
        source: its image.
        clock: has timed the stage `image`.

    Raises:
        BadInput: whatever of the request cannot be used.
    """
    asked = None if request.method is None else get_method(request.method).name
    budget = None if request.budget is None else parse_any_budget(request.budget)
    seed = request.chosen_seed()
    # 1. The model, and what it recommends.
    with clock.stage("model"), spinner("loading the model", quiet=request.quiet):
        pipe = load_pipeline(
            request.model, request.adapter, request.device, request.dtype, request.positions, request.vision_tower
        )
    recommended = Recommended.from_checkpoint(pipe.model.config.raw)
    with bad_input(ValueError):
        own = get_method(recommended.method).name
    method = asked or own
    choosing = own if request.compare and method in ("pooling", "full") else method
    if budget is not None and not get_method(choosing).takes_budget:
        raise BadInput(f"{choosing} takes no budget: drop --budget, got {request.budget}")
    budget = recommended.budget if budget is None else budget
    # 2. Answers.
    console = report_console(request.json)
    names = [method]
    if request.compare:
        names = ["pooling", "full", choosing]
    with bad_input(ValueError, options=NAMES):
        told = {choosing: request.later}
        pipes = {name: with_method(pipe, name, budget, request.views, seed, later=told.get(name)) for name in names}
    if request.overlay is not None and pipes[method].selector is None:
        raise BadInput(
            f"--overlay shows what a method keeps, and {method} on {pipes[method].views} views chooses nothing"
        )
    length = recommended.max_new_tokens if request.max_new_tokens is None else request.max_new_tokens
    if request.compare:
        # The first call pays for lazy set-up, and no method of the table shall.
        with bad_input(ValueError, options=NAMES):
            pipes["pooling"](source.image, request.question, max_new_tokens=1)
    outcomes = [
        Outcome(name, chosen.views, budget, _answer(chosen, source.image, request, length, seed, console))
        for name, chosen in pipes.items()
    ]
    outcome = outcomes[names.index(method)]
    notes = empty_note(outcome.answer)
    if is_embedded(request.model):
        notes += embedded_notes(pipe, source.image, request.question, outcome.answer)
    summary = outcome.as_json()
    total = sum(clock.timings_ms.values()) + outcome.answer.timings_ms["total"]
    summary["timings_ms"] = {**clock.timings_ms, **summary["timings_ms"], "total": round(total, 3)}
    # 3. Report, before anything is written: a full disk must not cost the answer.
    if request.quiet:
        print_text(console, outcome)
    elif request.compare:
        print_comparison(console, outcomes)
    else:
        print_answer(console, outcome, summary["timings_ms"])
    sys.stdout.flush()
    for note in notes:
        sys.stderr.write(f"shirg: note: {note}\n")
    # 4. Summary and picture.
    if request.json is not None:
        used = request_json(request, pipe, sha256=source.sha256, seed=seed, max_new_tokens=length)
        comparison = {"compare": [each.as_json() for each in outcomes]} if request.compare else {}
        write_json(request.json, {**used, **summary, "notes": notes, **comparison})
    if request.overlay is not None and outcome.answer.selection is not None:
        from shirg_core.plot import save_figure
        from shirg_lavida.cli.picture import overlay

        figure = overlay(pipe.model.config, source.image, request.question, outcome, outcome.answer.selection)
        write_file(request.overlay, lambda path: save_figure(figure, path))
    for path in () if request.quiet else files_of(request.overlay, request.json):
        print_written(console, path)


def _answer(
    pipe: LavidaPipeline, image: Image.Image, request: Request, length: int, seed: int | None, console: Console
) -> Answer:
    """One answer, shown step by step in a terminal."""
    sampling: dict[str, Any] = dict(request.sampling)
    if seed is not None:
        sampling["generator"] = torch.Generator(pipe.device).manual_seed(seed)
    with bad_input(ValueError, options=NAMES), live_steps(console, pipe, quiet=request.quiet) as on_step:
        answer: Answer = pipe(image, request.question, max_new_tokens=length, timings=True, on_step=on_step, **sampling)
    return answer
