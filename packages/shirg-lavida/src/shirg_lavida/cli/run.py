"""`shirg ask` as numbered stages: image, model, answers, picture, report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from rich.console import Console

from shirg_core.cli.errors import BadInput, bad_input
from shirg_core.cli.methods import parse_budget
from shirg_core.cli.output import check_outputs, write_file, write_json
from shirg_core.cli.timer import StageTimer
from shirg_core.images import ImageError, load_image
from shirg_lavida.answer import Answer
from shirg_lavida.cli.methods import FULL, POOLED, check_method, takes_budget, with_method
from shirg_lavida.cli.models import load_pipeline
from shirg_lavida.cli.report import Outcome, print_answer, print_comparison
from shirg_lavida.cli.stream import live_steps
from shirg_lavida.pipeline import LavidaPipeline
from shirg_lavida.plan import block_size
from shirg_lavida.recommended import Recommended

SEEDS = 2**63
"""Seeds that every source of randomness here takes, PyTorch's generators and the selectors that draw lots."""


@dataclass(frozen=True)
class Request:
    """What the user typed; None = not given. See `shirg ask --help`."""

    image: Path
    question: str
    model: str | None
    adapter: Path | None
    method: str | None
    budget: str | None
    views: str | None
    positions: str | None
    page: int
    compare: bool
    overlay: Path | None
    json: Path | None
    device: str | None
    dtype: str | None
    max_new_tokens: int | None
    seed: int | None
    sampling: Mapping[str, Any]


def run(request: Request) -> None:
    """Answer, and write what was asked for.

    Raises:
        BadInput: whatever of the request cannot be used.
    """
    # 1. Refuse what can be refused before a model is loaded.
    if request.method is not None:
        check_method(request.method)
    budget = None if request.budget is None else parse_budget(request.budget)
    if "shift" in request.sampling and request.sampling.get("schedule") != "shift":
        raise BadInput(f"--shift belongs to --schedule shift, got --shift {request.sampling['shift']} without it")
    if request.seed is not None and not 0 <= request.seed < SEEDS:
        raise BadInput(f"--seed must be an integer in [0, 2⁶³), got {request.seed}")
    check_outputs(request.image, request.overlay, request.json)
    timer = StageTimer()
    with timer.stage("image"), bad_input(ImageError):
        image = load_image(request.image, request.page)
    # 2. The model, and what it recommends.
    with timer.stage("model"):
        pipe = load_pipeline(request.model, request.adapter, request.device, request.dtype, request.positions)
    recommended = Recommended.from_checkpoint(pipe.model.config.raw)
    method = request.method or recommended.method
    check_method(method)
    choosing = recommended.method if request.compare and method in (POOLED, FULL) else method
    if budget is not None and not takes_budget(choosing):
        raise BadInput(
            f"--budget means nothing to {choosing}, which decides itself what it keeps, got {request.budget}"
        )
    budget = recommended.budget if budget is None else budget
    # 3. Answers.
    console = Console()
    names = [method]
    if request.compare:
        names = [POOLED, FULL, choosing]
    pipes = {name: with_method(pipe, name, budget, request.views, request.seed) for name in names}
    if request.overlay is not None and pipes[method].selector is None:
        raise BadInput(
            f"--overlay shows what a method keeps, and {method} on {pipes[method].views} views chooses nothing"
        )
    length = recommended.max_new_tokens if request.max_new_tokens is None else request.max_new_tokens
    with bad_input(ValueError):
        block_size(length, request.sampling.get("block_length"))
    if request.compare:
        # The first call pays for lazy set-up, and no method of the table shall.
        with bad_input(ValueError):
            pipes[POOLED](image, request.question, max_new_tokens=1)
    outcomes = [
        Outcome(name, chosen.views, budget, _answer(chosen, image, request, length, console))
        for name, chosen in pipes.items()
    ]
    outcome = outcomes[names.index(method)]
    # 4. Picture and summary.
    if request.overlay is not None and outcome.answer.selection is not None:
        from shirg_core.images.figure import save_figure, selection_figure

        title = f"{request.question} → {outcome.answer.text} · {method}, {outcome.n_kept} tokens kept"
        figure = selection_figure(image, outcome.layout, outcome.answer.selection, " ".join(title.split()))
        write_file(request.overlay, lambda path: save_figure(figure, path))
    summary = outcome.as_json()
    total = sum(timer.timings_ms.values()) + outcome.answer.timings_ms["total"]
    summary["timings_ms"] = {**timer.timings_ms, **summary["timings_ms"], "total": round(total, 3)}
    if request.json is not None:
        asked = {"image": str(request.image), "page": request.page, "question": request.question}
        used = {"model": request.model, "adapter": None if request.adapter is None else str(request.adapter)}
        how = {
            "positions": pipe.positions,
            "device": str(pipe.device),
            "sampling": dict(request.sampling),
            "max_new_tokens": length,
        }
        comparison = {"compare": [each.as_json() for each in outcomes]} if request.compare else {}
        write_json(request.json, {**summary, **asked, **used, **how, **comparison})
    # 5. Report.
    written = [path for path in (request.overlay, request.json) if path is not None]
    if request.compare:
        print_comparison(console, outcomes, written)
    else:
        print_answer(console, outcome, summary["timings_ms"], written)


def _answer(pipe: LavidaPipeline, image: Image.Image, request: Request, length: int, console: Console) -> Answer:
    """One answer, shown step by step in a terminal."""
    sampling = dict(request.sampling)
    if request.seed is not None:
        sampling["generator"] = torch.Generator(pipe.device).manual_seed(request.seed)
    with bad_input(ValueError), live_steps(console, pipe) as on_step:
        return pipe(image, request.question, max_new_tokens=length, on_step=on_step, **sampling)
