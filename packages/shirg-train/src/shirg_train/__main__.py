"""`python -m shirg_train RECIPE [--set KEY=VALUE …]`: `shirg train`, for `torchrun -m shirg_train` and `deepspeed`."""

from __future__ import annotations

import sys

from shirg_core.cli.app import main


def run(argv: list[str]) -> int:
    """The exit code of `shirg train` with these arguments; `--local_rank`, which `deepspeed` adds, is left out."""
    return main(
        ["train", *(argument for argument in argv if not argument.startswith(("--local_rank", "--local-rank")))]
    )


if __name__ == "__main__":
    code = run(sys.argv[1:])
    from shirg_train.trainer.distributed import leave

    leave(code)
