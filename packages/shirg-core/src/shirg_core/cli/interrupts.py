"""Ctrl-C at any moment. Imports next to nothing: what is imported before `install` is a window for a traceback."""

from __future__ import annotations

import atexit
import os
import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


class Interrupts:
    """Makes Ctrl-C end this process with `INTERRUPTED` and without a traceback, from `install` to the very end.

    The first one raises `KeyboardInterrupt`, so that half-written files are removed. Where that would be swallowed or
    printed, the process ends at once: while a module is imported, in a finaliser, after `finished`, at the second one.
    While the interpreter itself ends, the exit code is settled and Ctrl-C ignored.
    """

    def __init__(self) -> None:
        self.pending = False
        self.finished = False

    def install(self) -> None:
        """Take over, unless Ctrl-C is ignored (`nohup`, a background job) or somebody else handles it."""
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            sys.unraisablehook = self._unraisable
            signal.signal(signal.SIGINT, self._interrupt)
            # Registered first and so run last: what is left takes libraries apart, and nothing can be handled there.
            atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)

    def _interrupt(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002 (the signal module's signature)
        if self.pending or self.finished or _importing(frame):
            _leave()
        self.pending = True
        raise KeyboardInterrupt

    def _unraisable(self, unraisable: Any) -> None:
        if issubclass(unraisable.exc_type, KeyboardInterrupt):
            _leave()
        sys.__unraisablehook__(unraisable)


def _leave() -> None:
    """End the process; a spinner has no chance to clear its line and to show the cursor again."""
    if os.isatty(2):
        os.write(2, b"\r\x1b[2K\x1b[?25h")
    os._exit(INTERRUPTED)


def _importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False
