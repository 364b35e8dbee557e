"""The options of `shirg ask`; what they mean is in the modules beside this one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from shirg_core.cli.commands import IMAGE, PAGE
from shirg_lavida.cli.sampling import PANEL, given, with_sampling_options

_OWN = "the model's own"
_METHOD = "A name that `shirg methods` lists."
_MODEL = "Folder or hub id of a checkpoint, or an embedded model: micro-joint, micro, micro-full."
_TOWER = "Folder or hub id of the SigLIP tower, where the checkpoint's own mm_vision_tower is not there."
_ADAPTER = "LoRA: a folder in peft's format, micro-lora or micro-lora-language."
_VIEWS = "anyres, anyres_full, pooled_base, single or single384."
_POSITIONS = "packed, or original: kept tokens stay as far apart as they were."


@with_sampling_options
def ask(
    image: Annotated[Path, IMAGE],
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="In words.", show_default=False)],
    model: Annotated[str | None, typer.Option(help=_MODEL, show_default="micro-joint")] = None,
    vision_tower: Annotated[str | None, typer.Option(help=_TOWER, show_default="the checkpoint's")] = None,
    adapter: Annotated[Path | None, typer.Option(help=_ADAPTER)] = None,
    method: Annotated[str | None, typer.Option(help=_METHOD, show_default=_OWN)] = None,
    budget: Annotated[
        str | None,
        typer.Option(help="Visual tokens to keep: a count, 0.25, 1/4 or 25%.", show_default=_OWN),
    ] = None,
    views: Annotated[str | None, typer.Option(help=_VIEWS, show_default=_OWN)] = None,
    positions: Annotated[str | None, typer.Option(help=_POSITIONS, show_default="the adapter's, or packed")] = None,
    page: Annotated[int, PAGE] = 1,
    compare: Annotated[bool, typer.Option("--compare", help="Answer by pooling and with all tokens, too.")] = False,
    overlay: Annotated[Path | None, typer.Option("--overlay", "-o", help="Picture of the kept tokens.")] = None,
    json: Annotated[Path | None, typer.Option(help="Machine-readable summary; - is standard output.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, …", show_default="a GPU if there is one")] = None,
    dtype: Annotated[
        str | None, typer.Option(help="float32, bfloat16 or float16.", show_default="the checkpoint's")
    ] = None,
    max_new_tokens: Annotated[
        int | None, typer.Option(help="Length of the answer.", show_default=_OWN, rich_help_panel=PANEL)
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Random seed.", show_default="drawn, and in the JSON", rich_help_panel=PANEL)
    ] = None,
    **sampling: Any,
) -> None:
    """Answer QUESTION about IMAGE with a LaViDa whose visual tokens are chosen once, before the first step."""
    # Imported here, so that `shirg --help` waits for no library, and what cannot be read or written not for torch.
    from shirg_core.cli.output import check_outputs
    from shirg_core.cli.source import read_image
    from shirg_core.clock import Clock
    from shirg_core.progress import spinner
    from shirg_lavida.cli.paths import check_paths

    check_outputs(image, overlay, json)
    check_paths(model, adapter)
    clock = Clock()
    with clock.stage("image"):
        source = read_image(image, page)
    with spinner("loading PyTorch"):
        from shirg_lavida.cli.request import Request
        from shirg_lavida.cli.run import run

    run(
        Request(
            image=image,
            question=question,
            model=model,
            vision_tower=vision_tower,
            adapter=adapter,
            method=method,
            budget=budget,
            views=views,
            positions=positions,
            page=page,
            compare=compare,
            overlay=overlay,
            json=json,
            device=device,
            dtype=dtype,
            max_new_tokens=max_new_tokens,
            seed=seed,
            sampling=given(sampling),
        ),
        source,
        clock,
    )
