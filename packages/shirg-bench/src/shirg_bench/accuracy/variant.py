"""One way to answer a page's questions: what the tower sees, what is kept, its layout, how the answer attends."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeAlias, get_args

from shirg_bench.accuracy.late import Late
from shirg_core.adaptive_budget import AdaptiveBudget
from shirg_core.budget import Budget
from shirg_core.methods import get_method
from shirg_lavida.prompt.join import Positions
from shirg_lavida.vision.reading_order import Newline
from shirg_train.keep_ratio import PolicyConfig

Source: TypeAlias = Literal["page", "blurred", "half", "pooled"]
"""Where a token's features come from; grids are `h × w` of the full page.

- `page`: the page as it is.
- `blurred`: the page at half its size, enlarged again: the tower sees low-resolution pixels at its own size.
- `half`: the page at half its size through the tower, its `h/2 × w/2` features interpolated to `h × w`.
- `pooled`: the page's own features, averaged over 2 × 2 and interpolated back.

Edges come from the blurred page for all but `page`.
"""
Attention: TypeAlias = Literal["prefix", "full"]
Normalize: TypeAlias = Literal["view", "image"]


@dataclass(frozen=True)
class Compression:
    """A learned compressor makes the page's tokens.

    Args:
        method: of the compressor that came with the weights.
        budget: K or a fraction; None where the layout decides.
    """

    method: str
    budget: Budget | None = None


@dataclass(frozen=True)
class Variant:
    """See the module; the defaults are how the micro model was trained, with every token.

    Args:
        policy: what is kept.
        source: see `Source`.
        newline: see `shirg_lavida.vision.reading_order`.
        positions: see `shirg_lavida.vision.reading_order`.
        attention: `full` lets the prefix see the answer.
        cache: keep the prefix's keys and values; `prefix` attention only.
        adapter: name of the adapter in the weights, or of the training run that made them; None = the checkpoint's
            own weights.
        late: what is dropped inside the model, of a page that the policy keeps whole; None = nothing.
        nll_times: diffusion times of the validation NLL; 0 = it is not measured.
        adaptive: budgets between which the model decides for each question, in place of the policy's own.
        compression: what makes the tokens of a page that the policy keeps whole; None = the policy.
        normalize: where SHIRG-v2's variance is brought to one scale; `image` is not what v2 is.

    Raises:
        ValueError: a value that is not one of its type's, full attention with a cache, `late` beside a selection or
            without a cache, an NLL of either, or `adaptive` beside any of these two or without a budget.
    """

    policy: PolicyConfig = field(default_factory=lambda: PolicyConfig("baseline"))
    source: Source = "page"
    newline: Newline = "row"
    positions: Positions = "packed"
    attention: Attention = "prefix"
    cache: bool = True
    adapter: str | None = None
    late: Late | None = None
    nll_times: int = 0
    adaptive: AdaptiveBudget | None = None
    compression: Compression | None = None
    normalize: Normalize = "view"

    def __post_init__(self) -> None:
        named = {"source": Source, "newline": Newline, "positions": Positions, "normalize": Normalize}
        for name, choices in named.items():
            if getattr(self, name) not in get_args(choices):
                raise ValueError(f"{name} must be one of {', '.join(get_args(choices))}, got {getattr(self, name)!r}")
        if self.attention not in get_args(Attention) or (self.attention == "full" and self.cache):
            raise ValueError(f"attention must be prefix, or full without cache, got {self.attention!r}, {self.cache}")
        if self.late is not None and (self.policy.method != "baseline" or not self.cache):
            raise ValueError(f"late needs policy baseline and a cache, got {self.policy.name}, {self.cache}")
        if self.compression is not None and (self.policy.method != "baseline" or self.late is not None):
            raise ValueError(f"a compression needs policy baseline and no late choice, got {self.policy.name}")
        later = get_method(self.policy.method).later is not None
        if later and not self.cache:
            raise ValueError(f"method {self.policy.method!r} needs a cache")
        late = later or self.late is not None
        if self.nll_times and (late or self.attention != "prefix"):
            raise ValueError(f"nll_times needs prefix attention and no late choice, got {self.attention}, {self.late}")
        if self.adaptive is not None and (late or self.nll_times or self.policy.budget is None):
            raise ValueError(f"adaptive needs a budget, no late choice and no NLL, got {self.policy.name}, {self.late}")

    @property
    def budget(self) -> Budget | None:
        """What is kept, wherever it is chosen; None = everything, or as the method decides."""
        inside = self.late or self.compression
        return self.policy.budget if inside is None else inside.budget

    @property
    def method(self) -> str:
        """What makes tokens of the page before the language model sees it."""
        return self.policy.method if self.compression is None else self.compression.method

    def facts(self) -> dict[str, Any]:
        """Everything that decides the answers, as plain values."""
        policy = {"method": self.method, "budget": self.budget, "options": dict(self.policy.options)}
        if self.policy.views is not None:
            policy["views"] = self.policy.views
        own = asdict(self)
        silent = {"policy", "compression"} | {name for name in ("late", "nll_times", "adaptive") if not own[name]}
        if self.normalize == "view":
            silent.add("normalize")
        return {**policy, **{name: own[name] for name in own if name not in silent}}

    @property
    def key(self) -> str:
        """`facts` as canonical JSON: equal for variants that answer alike."""
        return json.dumps(self.facts(), sort_keys=True)
