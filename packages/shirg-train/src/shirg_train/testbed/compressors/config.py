"""Which learned compressor a recipe trains, and at which budgets. Cheap to import."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from shirg_core.budget import Budget, check_budget
from shirg_core.checks import check_known
from shirg_core.methods import METHODS
from shirg_train.seeds import generator

PLACES = {
    "token-packer": "token_packer:TokenPacker",
    "sms": "sms:SelfMiningSampler",
    "laco": "laco:LayerCompression",
    "cropr": "cropr:TokenCropr",
    "vision-selector": "vision_selector:VisionSelector",
    "docvlm": "docvlm:DocVLM",
}
"""Method → its module of this package, and class."""


@dataclass(frozen=True)
class CompressorConfig:
    """A compressor; in a recipe its name, where it takes no budget, or a mapping of the arguments below.

    Args:
        method: see `PLACES`.
        budgets: K or fractions, of which each step draws one evenly; of a compressor whose K is free.

    Raises:
        ValueError: an unknown method, budgets where the layout decides, or none where it does not.
    """

    method: str
    budgets: tuple[Budget, ...] = ()

    def __post_init__(self) -> None:
        check_known(self.method, PLACES, "compressor")
        free = METHODS[self.method].takes_budget
        if free and not self.budgets:
            raise ValueError(f"compressor {self.method!r} needs budgets, such as [0.3333333, 0.1666667]")
        if self.budgets and not free:
            raise ValueError(
                f"compressor {self.method!r} takes no budgets (its grid decides), got {list(self.budgets)}"
            )
        for budget in self.budgets:
            check_budget(budget)

    @classmethod
    def from_entry(cls, entry: object) -> object:
        """A recipe's shorthand as a mapping; anything else is passed on."""
        return {"method": entry} if isinstance(entry, str) else entry

    def draw(self, seed: int, step: int) -> Budget | None:
        """The budget of a step."""
        if not self.budgets:
            return None
        return self.budgets[int(torch.randint(len(self.budgets), (), generator=generator(seed, "budgets", step)))]

    def name(self, budget: Budget | None) -> str:
        """For logs."""
        return self.method if budget is None else f"{self.method}-{budget:g}"
