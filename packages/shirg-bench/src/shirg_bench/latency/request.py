"""What was asked of `shirg bench`."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from shirg_bench.latency.results import check_results
from shirg_bench.names import split_names
from shirg_core.checks import random_seed
from shirg_core.cli.errors import BadInput, bad_input

LATENCY, MEMORY, AUTOREGRESSIVE, SELECTION = WHAT = ("latency", "memory", "ar", "selection")
CACHES = {"on": (True,), "off": (False,), "both": (True, False)}
OF_MODELS = (LATENCY, MEMORY, AUTOREGRESSIVE)
USED_BY = {
    "model": OF_MODELS,
    "vision_tower": OF_MODELS,
    "methods": OF_MODELS,
    "budget": OF_MODELS,
    "later": OF_MODELS,
    "cache": (LATENCY, MEMORY),
    "rounds": (LATENCY, AUTOREGRESSIVE, SELECTION),
    "max_new_tokens": OF_MODELS,
    "step_ratio": (LATENCY, MEMORY),
    "dtype": OF_MODELS,
}
"""Options that only some measurements use. Memory is that of one step, and of a line with as many as were asked for."""
DEFAULTS: Mapping[str, Any] = {"model": "random-small", "cache": "both", "rounds": 3, "step_ratio": 0.5}


@dataclass(frozen=True)
class Request:
    """What the user asked for, defaults included; see `shirg bench --help`."""

    what: str
    model: str
    vision_tower: str | None
    methods: str | None
    budget: str | None
    later: str | None
    cache: str
    rounds: int
    max_new_tokens: int | None
    step_ratio: float
    device: str | None
    dtype: str | None
    seed: int
    json: Path | None

    @classmethod
    def typed(cls, what: str, options: Mapping[str, Any]) -> Request:
        """From the command's other options; None = not given.

        Raises:
            BadInput: an option that does not apply to `what`, or an unknown `what`.
        """
        kinds = _kinds(what)
        if kinds == (SELECTION,) and (methods := options.get("methods")) is not None:
            raise BadInput(f"--methods is for measuring a model; selection times every one, got {methods!r}")
        for name, value in options.items():
            if value is not None and not _uses(kinds, name):
                raise BadInput(f"{_option(name)} is for {', '.join(USED_BY[name])}, got {value!r} with --what {what}")
        given = {name: value for name, value in options.items() if value is not None}
        return cls(what=what, **{**dict.fromkeys(options), **DEFAULTS, **given})

    @property
    def command(self) -> str:
        """What to type to get this again."""
        kinds = _kinds(self.what)
        words = ["shirg", "bench"]
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and field.name != "json" and _uses(kinds, field.name):
                words += [_option(field.name), str(value)]
        return shlex.join(words)

    def check(self) -> tuple[str, ...]:
        """What to measure, by name.

        Raises:
            BadInput: a value out of range, or a results file that cannot be used.
        """
        what = _kinds(self.what)
        if self.cache not in CACHES:
            raise BadInput(f"--cache must be one of {', '.join(CACHES)}, got {self.cache!r}")
        if self.rounds < 1:
            raise BadInput(f"--rounds must be ≥ 1, got {self.rounds}")
        if not 0 < self.step_ratio <= 1:
            raise BadInput(f"--step-ratio must be in (0, 1], got {self.step_ratio:g}")
        if self.max_new_tokens is not None and self.max_new_tokens < 1:
            raise BadInput(f"--max-new-tokens must be ≥ 1, got {self.max_new_tokens}")
        with bad_input(ValueError):
            random_seed("--seed", self.seed)
        if self.json is not None:
            check_results(self.json)
        return what


def _kinds(what: str) -> tuple[str, ...]:
    kinds = split_names("--what", what)
    if unknown := [name for name in kinds if name not in WHAT]:
        raise BadInput(f"--what takes {', '.join(WHAT)}, got {unknown[0]!r}")
    return kinds


def _uses(kinds: tuple[str, ...], name: str) -> bool:
    return any(kind in USED_BY.get(name, WHAT) for kind in kinds)


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
