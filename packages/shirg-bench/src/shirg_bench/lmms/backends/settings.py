"""The arguments of an evaluation through one of lmms-eval's own models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, get_args

import torch
from lmms_eval.utils import simple_parse_args_string  # type: ignore[import-untyped]

from shirg_bench.lmms.backends.find import arguments_of, backend_class, placed
from shirg_bench.lmms.resolved import check_eval_method
from shirg_bench.lmms.values import Kind, count, text, typed
from shirg_core.budget import Budget
from shirg_core.checks import check_choice, check_known, random_seed
from shirg_core.cli.errors import BadInput, RunFailed, bad_input
from shirg_core.cli.methods import parse_budget
from shirg_core.hf.prune import Positions
from shirg_core.selection import Selector
from shirg_lavida.checkpoint.locate import folder_here
from shirg_lavida.cli.models import parse_device

ALL = "full"


@dataclass(frozen=True)
class Chosen:
    """How a backend's visual tokens are chosen, as in `BackendSettings`."""

    method: str
    budget: Budget | None
    positions: str


@dataclass(frozen=True)
class BackendSettings:
    """Which of lmms-eval's models, its weights, and how its visual tokens are chosen.

    Args:
        backend: lmms-eval's name.
        pretrained: folder or hub id of the weights.
        backend_args: `name=value,…`, further arguments of lmms-eval's class.
        method: see `shirg_core.methods`; `full` leaves the model as it is.
        budget: tokens to keep an image, a count or a fraction.
        positions: `original` or `packed`, see `shirg_core.hf.prune`.
        batch_size: questions answered at once, where lmms-eval's class can.
        device: as torch spells it; None = a GPU if there is one, this process's own among several.
        dtype: where lmms-eval's class takes one.
        seed: random seed.
        journal: folder of answers given so far; None keeps none.

    Raises:
        ValueError, BadInput: a value that cannot be used.
    """

    backend: str
    pretrained: str
    backend_args: str = ""
    method: str = ALL
    budget: Budget | None = None
    positions: str = "original"
    batch_size: int = 1
    device: str | None = None
    dtype: str | None = None
    seed: int = 0
    journal: Path | None = None

    def __post_init__(self) -> None:
        random_seed("seed", self.seed)
        check_choice("positions", self.positions, get_args(Positions))
        if self.batch_size < 1:
            raise BadInput(f"batch_size must be at least 1, got {self.batch_size}")
        parse_device(self.device)
        with bad_input(OSError):
            folder = folder_here(self.pretrained, Path())
        if folder is not None and not (folder / "config.json").is_file():
            raise BadInput(f"no model in {folder}: config.json is missing")
        self.arguments("cpu")
        self.selector()

    @classmethod
    def from_arguments(cls, given: Mapping[str, object]) -> BackendSettings:
        """From arguments that may be strings.

        Raises:
            ValueError, BadInput: an unknown name, or a value that cannot be used.
        """
        return cls(**typed(given, _KINDS, "argument of a backend:"))

    @cached_property
    def model_class(self) -> type[Any]:
        """lmms-eval's class."""
        return backend_class(self.backend)

    def selector(self) -> Selector | None:
        """What chooses tokens; None leaves the model as it is.

        Raises:
            BadInput: a method that is unknown, needs LaViDa's views or another budget, or merges tokens that are to
                keep their positions.
        """
        method = check_eval_method(self.method, self.budget)
        if method.name == ALL:
            return None
        if method.later is not None:
            with bad_input(ValueError):
                method.build()
        if method.selector is None:
            raise BadInput(f"method {method.name!r} needs LaViDa's views, which a --backend does not have")
        if method.merges and self.positions == "original":
            raise BadInput(
                f"method {method.name!r} merges tokens, and merged tokens have no original positions: "
                "give --positions packed"
            )
        with bad_input(ValueError):
            return method.build(**method.accepted(budget=self.budget, seed=self.seed))

    def resolved(self) -> Chosen:
        """How images are seen."""
        return Chosen(self.method, self.budget, self.positions)

    def arguments(self, device: str) -> dict[str, Any]:
        """What lmms-eval's class is built with.

        Raises:
            BadInput: an argument that it does not take.
        """
        known = arguments_of(self.model_class)
        given: dict[str, Any] = simple_parse_args_string(self.backend_args)
        given |= {} if self.dtype is None else {"dtype": self.dtype}
        for name in given:
            with bad_input(ValueError):
                check_known(name, known, f"argument of backend {self.backend!r}:")
        return placed(self.model_class, device, given) | {"pretrained": self.pretrained, "batch_size": self.batch_size}

    def open(self, device: torch.device) -> Any:
        """Build lmms-eval's model, which loads the weights.

        Raises:
            RunFailed: it cannot load them.
        """
        try:
            return self.model_class(**self.arguments(str(device)))
        except Exception as error:  # upstream's classes may fail in any way; the log has the traceback
            said = f"{type(error).__name__}: {error}"
            raise RunFailed(f"backend {self.backend!r} cannot load {self.pretrained}: {said}") from error


_KINDS: Mapping[str, Kind] = {
    "backend": text,
    "pretrained": text,
    "backend_args": text,
    "method": text,
    "budget": lambda value: parse_budget(str(value)),
    "positions": text,
    "batch_size": count,
    "device": text,
    "dtype": text,
    "seed": count,
    "journal": lambda value: Path(str(value)),
}
