"""This process among its ranks. `torchrun` and `deepspeed` say who it is; alone it is rank 0 of 1."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

import torch
import torch.distributed as dist
from torch import Tensor


class LostRankError(Exception):
    """Another rank ended, or its machine cannot be reached."""


@dataclass(frozen=True)
class World:
    """Rank, number of ranks, and this rank's device."""

    rank: int
    size: int
    device: torch.device

    @property
    def is_main(self) -> bool:
        """Whether this rank writes files and talks."""
        return self.rank == 0

    def sum(self, value: Tensor) -> Tensor:
        """Sum over ranks."""
        if self.size > 1:
            value = value.clone()
            dist.all_reduce(value)
        return value

    def max(self, value: int) -> int:
        """Maximum over ranks."""
        if self.size == 1:
            return value
        tensor = torch.tensor(value, device=self.device)
        dist.all_reduce(tensor, dist.ReduceOp.MAX)
        return int(tensor)

    def gather(self, value: Any) -> list[Any]:
        """Every rank's picklable value, in rank order."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value)
        return values


def is_main_process() -> bool:
    """Whether this is rank 0, also before ranks have met and after they have parted."""
    return os.environ.get("RANK", "0") == "0"


def speaks_for_its_machine() -> bool:
    """Whether this is the first rank of its machine."""
    return os.environ.get("LOCAL_RANK", "0") == "0"


def lost_rank(error: Exception) -> LostRankError | None:
    """What to tell people if `error` means that another rank is gone; None if it means anything else."""
    # gloo's own errors are plain RuntimeErrors that name its source file.
    if not (isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and "/gloo/" in str(error))):
        return None
    return LostRankError(
        f"another of the {os.environ.get('WORLD_SIZE')} processes ended, or its machine cannot be reached; rerun the "
        "command on all machines to resume"
    )


@contextmanager
def join_world(*, always: bool = False) -> Iterator[World]:
    """Meet the other ranks, and part from them at the end.

    With `always` even alone, because DeepSpeed wants a process group.

    Raises:
        LostRankError: another rank is gone; NCCL may take its ten minutes to notice.
    """
    launched = "WORLD_SIZE" in os.environ
    rank, size = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    cuda = torch.cuda.is_available()
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0))) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
    if size == 1 and not always:
        yield World(rank, size, device)
        return
    backend = "cpu:gloo,cuda:nccl" if cuda else "gloo"
    # Alone there is no launcher whose store could be asked; this one lives in the process.
    store = None if launched else dist.HashStore()  # type: ignore[attr-defined]  # missing from torch's own list of exports
    dist.init_process_group(backend, store=store, rank=rank, world_size=size)
    try:
        yield World(rank, size, device)
        # A rank that leaves while another still talks to it aborts both.
        dist.barrier()
    except RuntimeError as error:
        if (lost := lost_rank(error)) is not None:
            raise lost from error
        raise
    finally:
        dist.destroy_process_group()


def leave(code: int) -> NoReturn:
    """End the process now, without the interpreter's teardown.

    DeepSpeed keeps process groups in module globals, and one run in eight aborts when their threads outlive them.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
