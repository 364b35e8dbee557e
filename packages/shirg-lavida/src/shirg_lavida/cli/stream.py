"""Watching an answer come into being, one denoising step at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import groupby
from typing import TYPE_CHECKING

from torch import Tensor

from shirg_lavida.pipeline import LavidaPipeline

if TYPE_CHECKING:
    from rich.console import Console

MASK = "▒"


@contextmanager
def live_steps(
    console: Console, pipe: LavidaPipeline, *, quiet: bool = False
) -> Iterator[Callable[[int, Tensor], None] | None]:
    """A step callback that shows the answer so far in the terminal, and takes it away at the end; None elsewhere."""
    if quiet or not console.is_terminal:
        yield None
        return
    from rich.live import Live
    from rich.text import Text

    with Live(console=console, auto_refresh=False, transient=True) as live:

        def on_step(step: int, ids: Tensor) -> None:
            line = Text(f"step {step + 1}  ", style="dim").append(partial_text(pipe, ids[0]), style="not dim")
            live.update(line, refresh=True)

        yield on_step


def partial_text(pipe: LavidaPipeline, ids: Tensor) -> str:
    """The text of `ids [L]` with a grey block for every token that is still masked."""
    mask_id = pipe.model.config.mask_token_id
    runs = groupby(ids.tolist(), key=lambda token: token == mask_id)
    return "".join(
        MASK * len(list(run)) if masked else str(pipe.tokenizer.decode(list(run), skip_special_tokens=True))
        for masked, run in runs
    )
