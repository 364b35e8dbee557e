"""What a user of `shirg ask` typed. Cheap to import."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shirg_core.checks import integer, random_seed
from shirg_core.cli.errors import BadInput, bad_input
from shirg_core.cli.methods import check_method
from shirg_lavida.cli.sampling import NAMES
from shirg_lavida.sampling.options import SamplingOptions

DRAWN_SEEDS = 2**32
"""Those that are drawn where none is given: JSON readers keep them exactly."""


@dataclass(frozen=True)
class Request:
    """What the user typed; None = not given. See `shirg ask --help`."""

    image: Path
    question: str
    model: str | None
    vision_tower: str | None
    adapter: Path | None
    method: str | None
    budget: str | None
    later: str | None
    views: str | None
    positions: str | None
    page: int
    compare: bool
    overlay: Path | None
    json: Path | None
    quiet: bool
    device: str | None
    dtype: str | None
    max_new_tokens: int | None
    seed: int | None
    sampling: Mapping[str, Any]

    def check(self) -> None:
        """Refuse what can be refused before torch is imported.

        Raises:
            BadInput: an unknown method, a malformed budget, or options of the sampler that cannot be followed.
        """
        check_method(self.method, self.budget, adaptive=True)
        with bad_input(ValueError, options=NAMES):
            # How the model draws by itself is not known yet.
            SamplingOptions(**{"draw": "categorical", **self.sampling})
            if self.max_new_tokens is not None:
                integer("max_new_tokens", self.max_new_tokens, low=1)
        if "shift" in self.sampling and self.sampling.get("schedule") != "shift":
            raise BadInput(f"--shift belongs to --schedule shift, got --shift {self.sampling['shift']} without it")
        self.chosen_seed()

    def chosen_seed(self) -> int | None:
        """The seed that is used: the user's, or one drawn now if the sampling is random; None = nothing is random.

        Raises:
            BadInput: out of range.
        """
        if self.seed is not None:
            with bad_input(ValueError):
                return random_seed("--seed", self.seed)
        random = self.sampling.get("temperature", 0) != 0 or self.sampling.get("remasking") == "random"
        return secrets.randbelow(DRAWN_SEEDS) if random else None
