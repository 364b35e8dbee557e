"""The options of `shirg ask`; the other modules of this folder implement them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from shirg_core.cli.commands import IMAGES, PAGES, SUMMARY
from shirg_lavida.cli.options import OWN, Adapter, Budget, Device, Dtype, Later, Method, Model, Positions, Tower, Views
from shirg_lavida.cli.sampling import PANEL, given, with_sampling_options

_QUESTION = "Question about each image."
_QUESTIONS = "File with one question a line, in place of QUESTION; - is standard input."
_OVERLAY = "Picture of the kept tokens; of several answers, a folder for pictures."
_QUIET = "The answer alone on standard output, without progress."


@with_sampling_options
def ask(
    images: Annotated[list[Path] | None, IMAGES] = None,
    question: Annotated[str | None, typer.Argument(metavar="QUESTION", help=_QUESTION, show_default=False)] = None,
    model: Model = None,
    vision_tower: Tower = None,
    adapter: Adapter = None,
    method: Method = None,
    budget: Budget = None,
    later: Later = None,
    views: Views = None,
    positions: Positions = None,
    page: Annotated[str, PAGES] = "1",
    questions: Annotated[Path | None, typer.Option(help=_QUESTIONS, show_default=False)] = None,
    compare: Annotated[bool, typer.Option("--compare", help="Also answer by pooling and with all tokens.")] = False,
    overlay: Annotated[Path | None, typer.Option("--overlay", "-o", help=_OVERLAY)] = None,
    json: Annotated[Path | None, SUMMARY] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help=_QUIET)] = False,
    device: Device = None,
    dtype: Dtype = None,
    max_new_tokens: Annotated[
        int | None, typer.Option(help="Length of the answer.", show_default=OWN, rich_help_panel=PANEL)
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Random seed.", show_default="drawn, and in the JSON", rich_help_panel=PANEL)
    ] = None,
    **sampling: Any,
) -> None:
    """Answer QUESTION about each IMAGE with a LaViDa whose visual tokens are chosen once, before the first step."""
    # Imported here, so that `shirg --help` waits for no library, and what can be refused without torch not for it.
    from shirg_core.cli.batch import find_batch
    from shirg_core.progress import importing
    from shirg_lavida.cli.about import split_arguments
    from shirg_lavida.cli.paths import check_paths
    from shirg_lavida.cli.request import Request

    images, asked = split_arguments(images or (), question, questions)
    request = Request(
        image=images[0],
        question=asked[0],
        model=model,
        vision_tower=vision_tower,
        adapter=adapter,
        method=method,
        budget=budget,
        later=later,
        views=views,
        positions=positions,
        page=1,
        compare=compare,
        overlay=overlay,
        json=json,
        quiet=quiet,
        device=device,
        dtype=dtype,
        max_new_tokens=max_new_tokens,
        seed=seed,
        sampling=given(sampling),
    )
    request.check()
    check_paths(model, adapter)
    several = questions is not None
    batch = find_batch(images, page, overlay, json, stage="image", questions=asked, several=several)
    with importing("loading PyTorch", quiet=quiet):
        from shirg_lavida.cli.run import run

    run(request, batch)
