"""What was asked of `shirg bench`."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from shirg_bench.latency.results import read_results
from shirg_bench.latency.variant import split_names
from shirg_core.cli.errors import BadInput
from shirg_lavida.cli.run import SEEDS

LATENCY, MEMORY, AUTOREGRESSIVE, SELECTION = WHAT = ("latency", "memory", "ar", "selection")
CACHES = {"on": (True,), "off": (False,), "both": (True, False)}


@dataclass(frozen=True)
class Request:
    """What the user typed; see `shirg bench --help`."""

    what: str
    model: str
    methods: str | None
    cache: str
    rounds: int
    max_new_tokens: int | None
    step_ratio: float
    device: str | None
    dtype: str | None
    seed: int
    json: Path | None

    @property
    def command(self) -> str:
        """What to type to get this again."""
        named = {"what": self.what, "model": self.model, "methods": self.methods, "cache": self.cache}
        numbers = {"rounds": self.rounds, "max-new-tokens": self.max_new_tokens, "step-ratio": self.step_ratio}
        where = {"device": self.device, "dtype": self.dtype, "seed": self.seed}
        words = ["shirg", "bench"]
        for name, value in {**named, **numbers, **where}.items():
            words += [] if value is None else [f"--{name}", str(value)]
        return shlex.join(words)

    def check(self) -> tuple[str, ...]:
        """What to measure, by name.

        Raises:
            BadInput: a value out of range, or a results file that cannot be used.
        """
        what = split_names("--what", self.what)
        if unknown := [name for name in what if name not in WHAT]:
            raise BadInput(f"--what takes {', '.join(WHAT)}, got {unknown[0]!r}")
        if what == (SELECTION,) and self.methods is not None:
            raise BadInput(f"--methods is for measuring a model; selection times every one, got {self.methods!r}")
        if self.cache not in CACHES:
            raise BadInput(f"--cache must be one of {', '.join(CACHES)}, got {self.cache!r}")
        if self.rounds < 1:
            raise BadInput(f"--rounds must be ≥ 1, got {self.rounds}")
        if not 0 < self.step_ratio <= 1:
            raise BadInput(f"--step-ratio must be in (0, 1], got {self.step_ratio:g}")
        if self.max_new_tokens is not None and self.max_new_tokens < 1:
            raise BadInput(f"--max-new-tokens must be ≥ 1, got {self.max_new_tokens}")
        if not 0 <= self.seed < SEEDS:
            raise BadInput(f"--seed must be an integer in [0, 2⁶³), got {self.seed}")
        if self.json is not None:
            read_results(self.json)
        return what
