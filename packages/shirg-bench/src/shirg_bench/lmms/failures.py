"""What ends an evaluation: one sentence for people, the traceback in upstream's log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from shirg_core.budget import BudgetError
from shirg_core.cli.errors import BadInput, RunFailed
from shirg_lavida.checkpoint.locate import NO_NETWORK, without_network
from shirg_train.trainer.distributed import lost_rank


@contextmanager
def tried_once(download: Any) -> Iterator[None]:
    """Disable lmms-eval's outer retry; downloads already retry, and five times that takes minutes without a network."""
    from tenacity import stop_after_attempt

    stop, download.retry.stop = download.retry.stop, stop_after_attempt(1)
    try:
        yield
    finally:
        download.retry.stop = stop


@contextmanager
def one_line(what: str) -> Iterator[None]:
    """Whatever goes wrong inside becomes one sentence that starts with `what`.

    Raises:
        BadInput: what was asked for cannot be done.
        LostRankError: another process is gone.
        RunFailed: anything else.
    """
    from tenacity import RetryError

    try:
        yield
    except BadInput:
        raise
    except Exception as error:  # upstream and task files may fail in any way; the log has the traceback
        if isinstance(error, BudgetError) or isinstance(error.__cause__, BudgetError):
            raise BadInput(f"--budget: {error}") from error
        if (lost := lost_rank(error)) is not None:
            raise lost from error
        cause: BaseException = error
        if isinstance(error, RetryError) and (last := error.last_attempt.exception()) is not None:
            cause = last
        why = NO_NETWORK if without_network(cause) else f"{type(cause).__name__}: {cause}"
        raise RunFailed(f"{what}: {why}") from error
