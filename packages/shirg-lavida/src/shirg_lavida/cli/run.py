"""`shirg ask` as numbered stages: model, answers, report, picture and summary."""

from __future__ import annotations

import sys
from dataclasses import replace

from shirg_core.cli.batch import Batch, Item
from shirg_core.cli.errors import BadInput
from shirg_core.cli.output import files_of, print_written, report_console, write_file
from shirg_core.cli.source import Source
from shirg_core.clock import Clock
from shirg_core.progress import spinner
from shirg_lavida.cli.notes import embedded_notes, empty_note
from shirg_lavida.cli.paths import is_embedded
from shirg_lavida.cli.report import SCHEMA, print_answer, print_comparison, print_text, print_titled
from shirg_lavida.cli.request import Request
from shirg_lavida.cli.session import open_session
from shirg_lavida.cli.stream import live_steps


def run(request: Request, batch: Batch) -> None:
    """Answer, and write what was asked for; one run at a time where several answers are written.

    Args:
        request: what the user typed, checked as far as that needs no model; each item's image, page and question take
            the place of its own.
        batch: what it is about.

    Raises:
        BadInput: whatever of the request cannot be used.
    """
    with batch.held():
        _run(request, batch)


def _run(request: Request, batch: Batch) -> None:
    # 1. The model, and what it recommends.
    clock = Clock()
    with clock.stage("model"), spinner("loading the model", quiet=request.quiet):
        session = open_session(request)
    if request.overlay is not None and session.main.selector is None:
        raise BadInput(
            f"--overlay shows what a method keeps, and {session.method} on {session.main.views} views chooses nothing"
        )
    # 2. Answers, all but those that a run before this one gave.
    lines, pictures = batch.writer(SCHEMA, resume=True), batch.pictures()
    done = [] if lines is None else session.answered(request, lines.found, batch.items)
    console = report_console(request.json)
    if undrawn := [pictures[item] for item in done if item in pictures and not pictures[item].exists()]:
        raise BadInput(f"{request.json} holds an answer whose picture is not there, {undrawn[0]}: choose another file")
    if done and not request.quiet:
        sys.stderr.write(f"shirg: note: resumed, {len(done)} of {len(batch.items)} answers are in {request.json}\n")

    def work(item: Item, source: Source, own: Clock) -> None:
        asked = replace(request, image=item.path, page=item.page, question=item.question)
        with live_steps(console, session.pipe, quiet=request.quiet or batch.several) as on_step:
            outcomes = session.answer(source.image, item.question, on_step)
        outcome = outcomes[session.names.index(session.method)]
        notes = empty_note(outcome.answer)
        if is_embedded(request.model):
            notes += embedded_notes(session.pipe, source.image, item.question, outcome.answer)
        summary = outcome.as_json()
        before = own.timings_ms if batch.several else {**own.timings_ms, **clock.timings_ms}
        total = round(sum(before.values()) + outcome.answer.timings_ms["total"], 3)
        summary["timings_ms"] = {**before, **summary["timings_ms"], "total": total}
        # 3. Report, before anything is written: a full disk must not cost the answer.
        where = f"{item.path}, page {item.page} of {source.pages}" if source.pages > 1 else str(item.path)
        if request.quiet:
            print_text(console, outcome)
        elif batch.several:
            print_titled(console, where, item.question, outcomes, outcome)
        elif request.compare:
            print_comparison(console, outcomes)
        else:
            print_answer(console, outcome, summary["timings_ms"], page=source.place(item.page))
        sys.stdout.flush()
        for note in notes:
            sys.stderr.write(f"shirg: note: {f'{where}: ' if batch.several else ''}{note}\n")

        # 4. Summary and picture. Of several the picture comes first: what the summary holds is not asked again.
        def summarise() -> None:
            if request.json is None:
                return
            comparison = {"compare": [each.as_json() for each in outcomes]} if request.compare else {}
            used = session.settings(asked, source)
            batch.write(lines, {**used, **summary, "notes": notes, **comparison})

        def draw() -> None:
            if item not in pictures or outcome.answer.selection is None:
                return
            from shirg_core.plot import save_figure
            from shirg_lavida.cli.picture import overlay

            config = session.pipe.model.config
            figure = overlay(config, source.image, item.question, outcome, outcome.answer.selection)
            write_file(pictures[item], lambda path: save_figure(figure, path))

        for write in (draw, summarise) if batch.several else (summarise, draw):
            write()

    batch.run(work, quiet=request.quiet, done=done)
    for path in () if request.quiet else files_of(request.overlay, request.json):
        print_written(console, path)
