"""What a person sees while something takes long, on standard error. Needs the extra `cli`."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

Report: TypeAlias = Callable[[str], None]
"""Called with what comes next, once for each step of a bar."""


def progress_bar(
    console: Console | None = None, *, transient: bool = True, redirect: bool = True, quiet: bool = False
) -> Progress:
    """A bar to enter with `with`; each task shows its count, the time left and its description.

    Args:
        console: where; None = standard error.
        transient: remove the bar at the end.
        redirect: show what is printed meanwhile above the bar; False where the standard streams are redirected already.
        quiet: draw nothing; what is printed by the bar's console still is.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
        TextColumn("{task.description}", markup=False),
    )
    return Progress(
        *columns,
        console=console or Console(stderr=True),
        transient=transient,
        redirect_stdout=redirect,
        redirect_stderr=redirect,
        disable=quiet,
    )


@contextmanager
def importing(text: str, *, quiet: bool = False) -> Iterator[None]:
    """`spinner` while the block imports libraries; no search for garbage goes through their many objects."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        with spinner(text, quiet=quiet):
            yield
    finally:
        # Together they count all objects as old, without a look at them.
        gc.freeze()
        gc.unfreeze()
        if collecting:
            gc.enable()


@contextmanager
def spinner(text: str, *, quiet: bool = False) -> Iterator[None]:
    """Turn a spinner beside `text` while the block runs, if standard error is a terminal, unless `quiet`."""
    if quiet or sys.stderr is None or sys.stderr.closed or not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(text):
        yield
