"""The one place where errors become exit codes: 0 done, 2 bad input (one line on stderr), 1 anything else."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress

from shirg_core.cli.errors import BadInput

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""No room, wherever it was: nothing that a traceback explains."""


def exit_code(argv: list[str]) -> int:
    """Run `shirg` with arguments `argv`; an error becomes one line and its code."""
    try:
        # Not at the top of the file: without the extra `cli` there is no typer, and that deserves a sentence.
        from shirg_core.cli.commands import run

        code = run(argv)
        sys.stdout.flush()
        return code
    except BadInput as error:
        return _fail(str(error), error.exit_code)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        extra = extra_of(package)
        if extra is None:
            raise
        return _fail(f"the command needs {package}, which is not installed: install {extra}", 1)
    except OSError as error:
        here = _stdout_fails()
        # Who closed the pipe (`| head`) has read enough.
        if isinstance(error, BrokenPipeError):
            return 1
        if not here and error.errno not in FULL:
            raise
        where = "to standard output" if here else error.filename or "the output"
        return _fail(f"cannot write {where}: {error.strerror}", BadInput.exit_code)


def extra_of(package: str) -> str | None:
    """The extra that an imported `package` belongs to, as `distribution[extra]`; None = it belongs to none."""
    import re
    from importlib.metadata import entry_points, requires

    wanted = {"PIL": "pillow"}.get(package, package).lower().replace("_", "-")
    bringing = {entry.dist.name for entry in entry_points(group="shirg.commands") if entry.dist is not None}
    for distribution in ("shirg-core", *sorted(bringing - {"shirg-core"})):
        for requirement in requires(distribution) or ():
            name = re.match(r"[\w.-]+", requirement)
            extra = re.search(r"""extra == ['"]([\w.-]+)['"]""", requirement)
            if name and extra and name[0].lower().replace("_", "-") == wanted:
                return f"{distribution}[{extra[1]}]"
    return None


def _fail(message: str, code: int) -> int:
    with suppress(OSError):
        sys.stderr.write(f"shirg: error: {' '.join(message.split())}\n")
        sys.stderr.flush()
    return code


def _stdout_fails() -> bool:
    """Whether standard output cannot be written; what could not be is then discarded."""
    try:
        sys.stdout.flush()
    except OSError:
        # What is left in the buffer would be written again, and fail again, when the interpreter ends.
        with suppress(OSError, ValueError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, sys.stdout.fileno())
            os.close(null)
        return True
    return False
