"""`shirg`: the one place where errors become exit codes. 0 done, 2 bad input (one line on stderr), 1 anything else."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from shirg_core.cli.errors import BadInput

CLI_DEPENDENCIES = frozenset({"typer", "rich", "PIL", "numpy", "matplotlib", "pypdfium2"})


def main(argv: Sequence[str] | None = None) -> int:
    """Run `shirg` and return its exit code.

    Args:
        argv: arguments without the program's name; None = those of the process.
    """
    try:
        # Not at the top of the file: without the extra `cli` there is no typer, and that deserves a sentence.
        from shirg_core.cli.commands import run

        return run(sys.argv[1:] if argv is None else list(argv))
    except BadInput as error:
        return _fail(str(error), error.exit_code)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in CLI_DEPENDENCIES:
            raise
        return _fail(f"the command needs {package}, which is not installed: install shirg-core[cli]", 1)


def _fail(message: str, code: int) -> int:
    sys.stderr.write(f"shirg: error: {' '.join(message.split())}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
