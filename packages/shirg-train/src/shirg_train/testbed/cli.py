"""`shirg samples`: pages that the embedded model can read, with questions and answers. Cheap to import."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shirg_core.cli.errors import BadInput, bad_input


def samples(
    folder: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="Folder for the pages; created if it does not exist.", show_default=False),
    ],
) -> None:
    """Write sample pages as PNGs into DIR, and samples.json: image, question and answer of each."""
    from shirg_train.testbed.micro.samples import write_samples

    if folder.exists() and not folder.is_dir():
        raise BadInput(f"cannot write to {folder}: it is not a folder")
    with bad_input(OSError, prefix=f"cannot write to {folder}: "):
        written = write_samples(folder)
    for sample in written:
        typer.echo(f"{folder / sample['image']}  {sample['question']}  {sample['answer']}")
