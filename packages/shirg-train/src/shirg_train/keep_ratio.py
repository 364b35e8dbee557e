"""Mixed keep ratios: each step draws how images become tokens, so that one adapter serves every budget.

The draw depends on the run's seed and the step only, so all ranks and all micro-batches of a step share it, and the
number of kept tokens is the same for all of a step's images. (A fraction keeps a fraction of each image's own layout,
and with `cap_budget` an image with fewer tokens than the budget keeps all of its own.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from shirg_core.budget import Budget, check_budget
from shirg_core.checks import real
from shirg_core.methods import Method, get_method
from shirg_core.selection import Selector
from shirg_lavida.checkpoint.recommended import Recommended
from shirg_lavida.methods import choose_by, method_views
from shirg_lavida.pruning.protocol import Pruning
from shirg_lavida.vision.options import SelectOn
from shirg_lavida.vision.views import Views
from shirg_train.capped_budget import CappedBudget
from shirg_train.seeds import derive, draw, generator


@dataclass(frozen=True)
class PolicyConfig:
    """One way for images to become tokens.

    In a recipe an entry is a budget (`768`, `0.3333`: of SHIRG-v4), the name of a method that takes none (`pooling`,
    `baseline`, `full`), or a mapping of the arguments below.

    Args:
        method: see `shirg_core.methods`; an alias becomes the name.
        budget: K or a fraction; None for methods that decide by themselves.
        up_to: a larger one of the same kind: each step draws its budget evenly from `budget` to this. A model is sure
            only of lengths that it was trained on; None = always `budget`.
        views: see `shirg_lavida.vision.views`; None = the method's own.
        cap_budget: keep min(K, selectable): an image with fewer tokens than the budget keeps all of them. Without it
            such an image is skipped, and counted, in the steps that draw this policy.
        weight: how often it is drawn, relative to the others.
        options: further arguments of the method.

    Raises:
        ValueError: an unknown method or views, or arguments that the method refuses.
    """

    method: str
    budget: Budget | None = None
    up_to: Budget | None = None
    views: str | None = None
    cap_budget: bool = False
    weight: float = 1.0
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "method", get_method(self.method).name)
        real("weight", self.weight, above=0)
        if self.budget is not None:
            check_budget(self.budget)
        if self.up_to is not None:
            check_budget(self.up_to)
            if self.budget is None or type(self.budget) is not type(self.up_to) or self.budget >= self.up_to:
                raise ValueError(
                    f"up_to must be a budget of the same kind, larger than {self.budget}, got {self.up_to}"
                )
        if self.cap_budget and not isinstance(self.budget, int):
            raise ValueError(f"cap_budget needs a budget that is a number of tokens, got budget={self.budget}")
        build_policy(self, 0)

    @classmethod
    def from_entry(cls, entry: object) -> object:
        """A recipe's shorthand as a mapping; anything else is passed on."""
        if isinstance(entry, str):
            return {"method": entry}
        if isinstance(entry, int | float) and not isinstance(entry, bool):
            return {"method": Recommended.method, "budget": entry}
        return entry

    @property
    def name(self) -> str:
        """For logs: `pooling`, `v3-768@single`, `v3-512..1024`, `v3-768(temperature=0.1)`, `v2-768-capped`."""
        name = self.method if self.budget is None else f"{self.method}-{self.budget:g}"
        name = name if self.up_to is None else f"{name}..{self.up_to:g}"
        name = f"{name}-capped" if self.cap_budget else name
        if self.options:
            name += "(" + ",".join(f"{key}={value}" for key, value in sorted(self.options.items())) + ")"
        return name if self.views is None else f"{name}@{self.views}"

    @property
    def selects(self) -> bool:
        """Whether there is a selector."""
        return build_policy(self, 0).selector is not None


@dataclass(frozen=True)
class Policy:
    """A policy ready for one step: arguments of `LavidaModel.embed_prompt`.

    Attributes:
        name: for logs.
        method: of the registry.
        selector: None = no selection.
        views: see `shirg_lavida.vision.views`.
        select_on: see `shirg_lavida.vision.options.VisionOptions`.
        tower_attention: see there, too.
        pruning: what chooses again while an answer is decoded. Training decodes none: it sees what the prefill does.
    """

    name: str
    method: Method
    selector: Selector | None
    views: Views
    select_on: SelectOn = "projected"
    tower_attention: bool = False
    pruning: Pruning | None = None


def draw_policy(policies: Sequence[PolicyConfig], seed: int, step: int) -> Policy:
    """The policy of a step, drawn by weight."""
    return build_policy(draw(policies, seed, "policy", step), derive(seed, "policy-choice", step))


def build_policy(config: PolicyConfig, seed: int, views: Views | None = None) -> Policy:
    """The policy.

    Args:
        config: what a recipe says.
        seed: for methods that draw at random and have none of their own.
        views: those that images are seen in, whatever the policy says; None = the policy's, or else the method's own.

    Raises:
        ValueError: views or arguments that the method refuses.
    """
    method = get_method(config.method)
    budget = None if config.budget is None else _drawn(config.budget, config.up_to, seed)
    fields = {**method.accepted(seed=seed), **config.options, **({} if budget is None else {"budget": budget})}
    choice = choose_by(method, views or method_views(method, config.views), **fields)
    selector = choice.selector
    if config.cap_budget and selector is not None:
        if method.later is not None:
            raise ValueError(f"cap_budget is for methods that choose once, got {config.method}")
        selector = CappedBudget(selector)
    return Policy(config.name, method, **{**choice._asdict(), "selector": selector})


def _drawn(budget: Budget, up_to: Budget | None, seed: int) -> Budget:
    if up_to is None:
        return budget
    share = float(torch.rand((), generator=generator(seed, "budget"), dtype=torch.float64))
    if isinstance(budget, int):
        return budget + int(share * (up_to - budget + 1))
    return budget + share * (up_to - budget)
