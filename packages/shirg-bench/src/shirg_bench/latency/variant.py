"""The table's lines: ways for an image to become tokens, by the names a person types."""

from __future__ import annotations

from dataclasses import dataclass

from shirg_bench.names import split_names
from shirg_core.budget import Budget
from shirg_core.cli.errors import BadInput, bad_input
from shirg_core.cli.methods import parse_budget
from shirg_core.methods import get_method
from shirg_lavida.checkpoint.recommended import Recommended
from shirg_lavida.methods import method_views, with_method
from shirg_lavida.pipeline import LavidaPipeline

POOLING = "pooling"
STANDARD = (
    POOLING,
    "baseline",
    *(f"{preset}-{budget}" for budget in (512, 768, 1024) for preset in ("v2", "v3")),
    "full@single",
    "full@anyres_full",
)
"""Of LaViDa: pooled-980, 729 of one low-resolution view, both presets at three budgets, all 2304 and all 3645."""
ONE_VIEW = (
    POOLING,
    *(f"{preset}-{budget}" for budget in ("0.1667", "0.3333", "0.5") for preset in ("v2", "v3")),
    "full",
)
"""Of a checkpoint that recommends views of its own."""


@dataclass(frozen=True)
class Variant:
    """One line.

    Attributes:
        name: `method`, `method-budget`, either with `@views`.
        method: see `shirg_core.methods`.
        budget: K or a fraction; None = the method takes none.
        views: see `shirg_lavida.vision.views`; None = the method's own.
    """

    name: str
    method: str
    budget: Budget | None
    views: str | None

    @classmethod
    def parse(cls, name: str) -> Variant:
        """Read `v3-768@single`.

        Raises:
            BadInput: an unknown method or views, or a budget where there must be none or none where there must be one.
        """
        rest, at, after = name.partition("@")
        views = after if at else None
        typed, _, amount = rest.rpartition("-")
        if not amount[:1].isdigit():
            typed, amount = rest, ""
        with bad_input(ValueError, prefix=f"variant {name!r}: "):
            method = get_method(typed)
            method_views(method, views)
        if method.takes_budget != bool(amount):
            wants = f"needs a budget, such as {method.name}-768" if method.takes_budget else "takes no budget"
            raise BadInput(f"variant {name!r}: {method.name} {wants}")
        budget = parse_budget(amount) if amount else None
        return cls(method.name + name.removeprefix(typed), method.name, budget, views)

    def pipeline(self, pipe: LavidaPipeline, seed: int) -> LavidaPipeline:
        """The same model, choosing this way.

        Args:
            pipe: the model.
            seed: for randomised methods.

        Raises:
            BadInput: a budget that the method refuses.
        """
        with bad_input(ValueError):
            return with_method(pipe, self.method, self.budget, self.views, seed)


def variants(names: str | None, pipe: LavidaPipeline) -> list[Variant]:
    """The variants of a comma-separated list; None = the table that fits the model.

    Raises:
        BadInput: an empty list, a name given twice, or one that is not a variant.
    """
    own_views = Recommended.from_checkpoint(pipe.model.config.raw).views
    listed = (STANDARD if own_views is None else ONE_VIEW) if names is None else split_names("--methods", names)
    return [Variant.parse(name) for name in listed]
