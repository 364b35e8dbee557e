"""`shirg`: the one place where errors become exit codes.

0 done, 2 bad input (one line on stderr), 130 Ctrl-C, 1 anything else.
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Sequence
from contextlib import suppress

from shirg_core.cli.errors import BadInput
from shirg_core.cli.process import INTERRUPTED, Interrupts, stdout_fails

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""No room, wherever it was: nothing that a traceback explains."""
CLI_DEPENDENCIES = frozenset({"typer", "rich", "PIL", "numpy", "matplotlib", "pypdfium2"})


def main(argv: Sequence[str] | None = None) -> int:
    """Run `shirg` and return its exit code.

    Args:
        argv: arguments without the program's name; None = those of the process.
    """
    interrupts = Interrupts()
    if argv is None:
        interrupts.install()
    try:
        code = _run(sys.argv[1:] if argv is None else list(argv))
    except KeyboardInterrupt:
        code = INTERRUPTED
    finally:
        interrupts.finished = True
    # Some libraries swallow the exception and go on.
    return INTERRUPTED if interrupts.pending else code


def _run(argv: list[str]) -> int:
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
        if package not in CLI_DEPENDENCIES:
            raise
        return _fail(f"the command needs {package}, which is not installed: install shirg-core[cli]", 1)
    except OSError as error:
        here = stdout_fails()
        # Who closed the pipe (`| head`) has read enough.
        if isinstance(error, BrokenPipeError):
            return 1
        if not here and error.errno not in FULL:
            raise
        where = "to standard output" if here else error.filename or "the output"
        return _fail(f"cannot write {where}: {error.strerror}", BadInput.exit_code)


def _fail(message: str, code: int) -> int:
    with suppress(OSError):
        sys.stderr.write(f"shirg: error: {' '.join(message.split())}\n")
        sys.stderr.flush()
    return code


if __name__ == "__main__":
    sys.exit(main())
