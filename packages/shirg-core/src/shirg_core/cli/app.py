"""`shirg`: where the process starts. Exit codes: see `shirg_core.cli.exits`, and 130 for Ctrl-C."""

from __future__ import annotations

import gc
import sys

from shirg_core.cli.interrupts import INTERRUPTED, Interrupts


def main(argv: list[str] | None = None) -> int:
    """Run `shirg` and return its exit code.

    Without `argv` the process's own arguments, and then Ctrl-C is handled.
    """
    interrupts = Interrupts()
    if argv is None:
        interrupts.install()
    try:
        from shirg_core.cli.exits import exit_code

        code = exit_code(sys.argv[1:] if argv is None else argv)
    except KeyboardInterrupt:
        code = INTERRUPTED
    finally:
        interrupts.finished = True
        if argv is None and "triton" not in sys.modules:
            # As the interpreter ends, it need not look for cycles of garbage in all of PyTorch. Triton's bindings
            # complain on standard error of whatever is left.
            gc.freeze()
    # Some libraries swallow the exception and go on.
    return INTERRUPTED if interrupts.pending else code


if __name__ == "__main__":
    sys.exit(main())
