"""Output files: refused before the work starts where possible, and never left half written."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shirg_core.cli.errors import BadInput, bad_input
from shirg_core.files import atomic_path, write_text

if TYPE_CHECKING:
    from rich.console import Console

STANDARD = Path("-")
"""Standard input for an image, standard output for a summary."""
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".pdf", ".svg")


def check_outputs(source: Path | None, picture: Path | None, summary: Path | None) -> None:
    """Refuse outputs that could not be written, or that would overwrite the input or each other.

    Raises:
        BadInput: with the offending path.
    """
    # The questions themselves fail on a name that is too long (OSError) or a loop of links (RuntimeError, or OSError).
    with bad_input(OSError, RuntimeError, prefix="cannot write the output: "):
        _check_outputs(source, picture, summary)


def _check_outputs(source: Path | None, picture: Path | None, summary: Path | None) -> None:
    if picture is not None and picture.suffix.lower() not in PICTURE_SUFFIXES:
        raise BadInput(f"cannot write {picture}: the picture must end in one of {', '.join(PICTURE_SUFFIXES)}")
    outputs = files_of(picture, summary)
    for path in outputs:
        if path.is_dir():
            raise BadInput(f"cannot write {path}: it is a folder")
        if path.is_symlink() and not path.exists():
            raise BadInput(f"cannot write {path}: it is a link that leads nowhere")
        if path.exists() and not path.is_file():
            # Renaming over /dev/null would replace the device itself.
            raise BadInput(f"cannot write {path}: it is not a regular file")
        if not path.parent.is_dir():
            raise BadInput(f"cannot write {path}: there is no folder {path.parent}")
        if not os.access(path.parent, os.W_OK):
            raise BadInput(f"cannot write {path}: no permission in {path.parent}")
        if source is not None and path.resolve() == source.resolve():
            raise BadInput(f"cannot write {path}: it is the input")
    if len({path.resolve() for path in outputs}) < len(outputs):
        raise BadInput(f"cannot write {outputs[0]} twice: the picture and the summary need different files")


def files_of(*outputs: Path | None) -> list[Path]:
    """Those of `outputs` that were asked for and are files."""
    return [path for path in outputs if path is not None and path != STANDARD]


def report_console(summary: Path | None) -> Console:
    """Where people read: standard output, or standard error if the summary goes to standard output."""
    from rich.console import Console

    # An answer such as `:key:` is text, not the name of an emoji.
    return Console(stderr=summary == STANDARD, emoji=False)


def print_written(console: Console, path: Path) -> None:
    """Say that a file is there."""
    console.print(f"written  {path}", markup=False, highlight=False, soft_wrap=True)


def write_file(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a temporary file and move it to `path` when it is whole.

    Raises:
        BadInput: the file cannot be written.
    """
    with bad_input(OSError, prefix=f"cannot write {path}: "), atomic_path(path) as temporary:
        write(temporary)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write `content` as JSON, whole or not at all; `-` is standard output.

    Raises:
        BadInput: the file cannot be written.
    """
    text = json.dumps(content, indent=1, allow_nan=False) + "\n"
    if path == STANDARD:
        sys.stdout.write(text)
        return
    with bad_input(OSError, prefix=f"cannot write {path}: "):
        write_text(path, text)


class JsonLines:
    """One line of JSON a result, in a file or on standard output; a line that was written stays.

    Args:
        path: where; `-` is standard output, None is nowhere.
        schema: of every line.
        resume: keep the lines of a file that is there; else it begins anew.

    Attributes:
        found: what those lines say.

    Raises:
        BadInput: the file cannot be read or written, or holds something else.
    """

    def __init__(self, path: Path | None, schema: str, *, resume: bool = False) -> None:
        self._path, self.found = path, list[dict[str, Any]]()
        if path is None or path == STANDARD:
            return
        with bad_input(OSError, prefix=f"cannot write {path}: "):
            content = path.read_bytes() if resume and path.exists() else b""
            # What follows the last end of line is what a killed process could not finish.
            whole = content[: content.rfind(b"\n") + 1]
            self.found = [_line_of(path, line, schema) for line in whole.split(b"\n")[:-1]]
            # In place: `Batch.held` locks this very file.
            with path.open("ab") as file:
                file.truncate(len(whole))

    def add(self, content: dict[str, Any]) -> None:
        """Write one result.

        Raises:
            BadInput: the file cannot be written.
        """
        line = json.dumps(content, allow_nan=False) + "\n"
        if self._path == STANDARD:
            sys.stdout.write(line)
            sys.stdout.flush()
        elif self._path is not None:
            with (
                bad_input(OSError, prefix=f"cannot write {self._path}: "),
                self._path.open("a", encoding="utf-8") as file,
            ):
                file.write(line)


def _line_of(path: Path, line: bytes, schema: str) -> dict[str, Any]:
    try:
        content = json.loads(line)
        if content["schema"] == schema:
            return dict(content)
    except (ValueError, KeyError, TypeError):
        pass
    raise BadInput(f"{path} is there and holds something else than lines of {schema}: choose another file")
