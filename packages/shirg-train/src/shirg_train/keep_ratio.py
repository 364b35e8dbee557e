"""Mixed keep ratios: each step draws how images become tokens, so that one adapter serves every budget.

The draw depends on the run's seed and the step only, so all ranks and all micro-batches of a step share it, and the
number of kept tokens is the same for all of a step's images. (A fraction keeps a fraction of each image's own layout,
and with `cap_budget` an image with fewer tokens than the budget keeps all of its own.)
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

import torch

from shirg_core.baselines import BASELINES, ON_PIXELS
from shirg_core.budget import Budget, check_budget
from shirg_core.presets import ShirgV2, ShirgV3
from shirg_core.selection import Selector
from shirg_lavida.vision.options import SelectOn
from shirg_lavida.vision.views import Views
from shirg_train.seeds import derive, generator
from shirg_train.served import CappedBudget

METHODS: Mapping[str, Any] = {"v2": ShirgV2, "v3": ShirgV3, **BASELINES}
MERGING = frozenset({"pooling", "tome", "scissor"})
"""Methods whose kept tokens are mixtures of patches; all others keep tokens as they are."""
NO_SELECTOR: Mapping[str, Views] = {"pooled": "anyres", "baseline": "single384", "full": "anyres_full"}
"""Names for policies without a selector: the released pooling, one view of 27 × 27 tokens, every token."""
OWN_VIEWS: Mapping[str, Views] = {**NO_SELECTOR, "v3": "single"}
"""Views where a policy names none, the same as `shirg ask` takes; `anyres` for the other methods."""


@dataclass(frozen=True)
class PolicyConfig:
    """One way for images to become tokens.

    In a recipe an entry is a budget (`768`, `0.3333`: SHIRG-v3), a name without a selector (`pooled`, `baseline`,
    `full`), or a mapping of the arguments below.

    Args:
        method: `v2`, `v3`, a baseline of `shirg_core.baselines`, or a name without a selector.
        budget: K or a fraction; None for methods that decide by themselves.
        up_to: a larger one of the same kind: each step draws its budget evenly from `budget` to this. A model is sure
            only of lengths that it was trained on; None = always `budget`.
        views: see `shirg_lavida.vision.views`; None = the method's own, see `OWN_VIEWS`.
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
        known = (*METHODS, *NO_SELECTOR)
        if self.method not in known:
            raise ValueError(f"unknown method {self.method!r}; known: {', '.join(known)}")
        if self.views is not None and self.views not in get_args(Views):
            raise ValueError(f"views must be one of {', '.join(get_args(Views))}, got {self.views!r}")
        if not 0 < self.weight < math.inf:
            raise ValueError(f"weight must be a finite number > 0, got {self.weight}")
        if self.budget is not None:
            check_budget(self.budget)
        if self.up_to is not None:
            check_budget(self.up_to)
            if self.budget is None or type(self.budget) is not type(self.up_to) or self.budget >= self.up_to:
                raise ValueError(f"up_to must be a larger budget of the same kind than {self.budget}, got {self.up_to}")
        if self.cap_budget and not isinstance(self.budget, int):
            raise ValueError(f"cap_budget needs a budget that is a number of tokens, got budget={self.budget}")
        if self.method in NO_SELECTOR and (self.budget is not None or self.options):
            raise ValueError(f"{self.method!r} selects nothing and takes neither budget nor options")
        build_selector(self, 0)

    @classmethod
    def from_entry(cls, entry: object) -> object:
        """A recipe's shorthand as a mapping; anything else is passed on."""
        if isinstance(entry, str):
            return {"method": entry}
        if isinstance(entry, int | float) and not isinstance(entry, bool):
            return {"method": "v3", "budget": entry}
        return entry

    @property
    def name(self) -> str:
        """For logs: `v3-768`, `pooled`, `v3-768@single`, `v3-512..1024`, `v3-768(temperature=0.1)`, `v2-768-capped`."""
        name = self.method if self.budget is None else f"{self.method}-{self.budget:g}"
        name = name if self.up_to is None else f"{name}..{self.up_to:g}"
        name = f"{name}-capped" if self.cap_budget else name
        if self.options:
            name += "(" + ",".join(f"{key}={value}" for key, value in sorted(self.options.items())) + ")"
        return name if self.views is None else f"{name}@{self.views}"

    @property
    def selects(self) -> bool:
        """Whether there is a selector."""
        return self.method not in NO_SELECTOR


@dataclass(frozen=True)
class Policy:
    """A policy ready for one step: arguments of `LavidaModel.embed_prompt`.

    Attributes:
        name: for logs.
        selector: None = no selection.
        views: see `shirg_lavida.vision.views`.
        select_on: see `shirg_lavida.vision.options.VisionOptions`.
    """

    name: str
    selector: Selector | None
    views: Views
    select_on: SelectOn = "projected"


def draw_policy(policies: Sequence[PolicyConfig], seed: int, step: int) -> Policy:
    """The policy of a step, drawn by weight."""
    weights = torch.tensor([policy.weight for policy in policies], dtype=torch.float32)
    chosen = policies[int(torch.multinomial(weights, 1, generator=generator(seed, "policy", step)))]
    return build_policy(chosen, derive(seed, "policy-choice", step))


def build_policy(config: PolicyConfig, seed: int) -> Policy:
    """The policy; `seed` goes to methods that draw at random and have none of their own."""
    views = config.views or OWN_VIEWS.get(config.method, "anyres")
    on = select_on(config)
    return Policy(config.name, build_selector(config, seed), views, on)  # type: ignore[arg-type]  # checked above


def select_on(config: PolicyConfig) -> SelectOn:
    """What the method compares: projected tokens, or the pixels of their patches."""
    return "pixels" if config.method in ON_PIXELS else "projected"


def _drawn(budget: Budget, up_to: Budget | None, seed: int) -> Budget:
    if up_to is None:
        return budget
    share = float(torch.rand((), generator=generator(seed, "budget"), dtype=torch.float64))
    if isinstance(budget, int):
        return budget + int(share * (up_to - budget + 1))
    return budget + share * (up_to - budget)


def build_selector(config: PolicyConfig, seed: int) -> Selector | None:
    """The selector, None where the policy has none.

    Raises:
        ValueError: arguments that the method refuses.
    """
    if not config.selects:
        return None
    arguments: dict[str, Any] = dict(config.options)
    if config.budget is not None:
        arguments["budget"] = _drawn(config.budget, config.up_to, seed)
    if "seed" in inspect.signature(METHODS[config.method]).parameters:
        arguments.setdefault("seed", seed)
    try:
        selector: Selector = METHODS[config.method](**arguments)
    except TypeError as error:
        raise ValueError(f"method {config.method!r} does not take {sorted(arguments)}: {error}") from error
    return CappedBudget(selector) if config.cap_budget else selector
