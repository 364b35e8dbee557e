"""Where a run's numbers go: JSON lines, TensorBoard if wanted, and a progress bar.

Each line is one object with `kind` (`start`, `step`, `validation`, `event`) and `step`. A resumed run first removes the
lines after its checkpoint, so that a curve has every step once.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from shirg_core.files import write_text
from shirg_core.progress import progress_bar
from shirg_train.recipe import RecipeError

SCHEMA = "shirg.train/1"
"""Of every line; `docs/json.md` lists its fields."""


class Metrics:
    """Writes metrics of the main rank; other ranks' `write` does nothing.

    Args:
        folder: the run's output folder.
        total_steps: for the progress bar.
        step: steps done already, later lines are removed; None = a fresh run, all lines are.
        active: whether this is the main rank.
        tensorboard: also write TensorBoard files.
        progress: draw a progress bar on stderr.

    Raises:
        RecipeError: TensorBoard is wanted and not installed.
    """

    def __init__(
        self, folder: Path, *, total_steps: int, step: int | None, active: bool, tensorboard: bool, progress: bool
    ) -> None:
        self._file = self._board = self._bar = None
        if not active:
            return
        if tensorboard:
            self._board = _open_board(folder / "tensorboard", step or 0)
        path = folder / "metrics.jsonl"
        forget_after(path, -1 if step is None else step)
        self._file = path.open("a", encoding="utf-8")
        if progress:
            self._bar = progress_bar(transient=False)
            self._task = self._bar.add_task("", total=total_steps, completed=step or 0)

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for part in (self._file, self._board):
            if part is not None:
                part.close()
        if self._bar is not None:
            self._bar.stop()

    def write(self, kind: str, step: int, **values: Any) -> None:
        """Write one line; it is in the file when this returns."""
        if self._file is None:
            return
        self._file.write(json.dumps({"schema": SCHEMA, "kind": kind, "step": step, **values}) + "\n")
        self._file.flush()
        if self._board is not None:
            for name, value in _scalars(values):
                self._board.add_scalar(f"{kind}/{name}", value, step)
        if self._bar is not None and kind == "step":
            status = f"NLL {values['loss']:.4f}  {values['tokens_per_s']:.0f} tokens/s"
            self._bar.update(self._task, completed=step, description=status)

    def say(self, text: str) -> None:
        """Tell the person in front of the progress bar, if there is one."""
        if self._bar is not None:
            self._bar.console.print(text)


class _Board(Protocol):
    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None: ...
    def close(self) -> None: ...


def forget_after(path: Path, step: int, *, key: str = "step") -> None:
    """Remove lines whose `key` is after `step`, and what is no line of a log: an unfinished last one, blanks, zeros."""
    if not path.is_file():
        return
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    kept = [line for line in lines if _step_of(line, key) <= step]
    write_text(path, "".join(f"{line}\n" for line in kept))


def read_metrics(path: Path, kind: str) -> list[dict[str, Any]]:
    """All lines of one kind; blanks, and a last line that a killed or running process left unfinished, are none.

    Raises:
        ValueError: another line is no line of a log, with its number.
    """
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    found = []
    for number, line in enumerate(lines, start=1):
        if not line.strip("\0 \r"):
            continue
        try:
            row = json.loads(line)
            if row["kind"] == kind:
                found.append(row)
        except (ValueError, KeyError, TypeError):
            if number < len(lines):
                raise ValueError(
                    f"{path}, line {number}: expected a line of a training log, got {line[:40]!r}"
                ) from None
    return found


def _step_of(line: str, key: str) -> float:
    try:
        return int(json.loads(line)[key])
    except (ValueError, KeyError, TypeError):
        # A killed process may leave half a line.
        return math.inf


def _scalars(values: Mapping[str, Any]) -> list[tuple[str, float]]:
    flat = [(f"{k}/{n}", x) for k, v in values.items() if isinstance(v, Mapping) for n, x in v.items()]
    flat += list(values.items())
    return [(name, float(x)) for name, x in flat if isinstance(x, int | float) and not isinstance(x, bool)]


def _open_board(folder: Path, step: int) -> _Board:
    # Not at the top of the file: it takes a second, and few runs want it.
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ModuleNotFoundError as error:
        raise RecipeError(f"log.tensorboard needs {error.name}: install shirg-train[tensorboard]") from error

    board: _Board = SummaryWriter(str(folder), purge_step=step + 1)
    return board
