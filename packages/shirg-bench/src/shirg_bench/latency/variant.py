"""The table's lines: ways for an image to become tokens, by the names a person types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from shirg_bench.names import split_names, variant_parts
from shirg_core.budget import Budget
from shirg_core.cli.errors import BadInput, bad_input
from shirg_core.cli.methods import parse_budget
from shirg_core.methods import get_method
from shirg_lavida.checkpoint.recommended import Recommended
from shirg_lavida.methods import method_views, with_method
from shirg_lavida.pipeline import LavidaPipeline
from shirg_lavida.pruning.options import later_options

POOLING = "pooling"
COMMAND = "shirg bench"


class Standard(NamedTuple):
    """Default variants: both presets at each budget, between methods without a budget."""

    before: tuple[str, ...]
    budgets: tuple[str, ...]
    after: tuple[str, ...]

    def names(self, budget: str | None) -> tuple[str, ...]:
        """Names of the variants, of one budget instead of the table's if it is given."""
        budgets = self.budgets if budget is None else (budget,)
        return (*self.before, *(f"{preset}-{each}" for each in budgets for preset in ("v2", "v3")), *self.after)


STANDARD = Standard((POOLING, "baseline"), ("512", "768", "1024"), ("full@single", "full@anyres_full"))
"""Defaults for LaViDa: pooled-980, 729 of one low-resolution view, both presets at three budgets, all 2304 or 3645."""
ONE_VIEW = Standard((POOLING,), ("0.1667", "0.3333", "0.5"), ("full",))
"""Defaults for a checkpoint that recommends its own views."""


@dataclass(frozen=True)
class Variant:
    """One line.

    Attributes:
        name: `method`, `method-budget`, either with `@views`; with `:` and options where there are any.
        method: see `shirg_core.methods`.
        budget: K or a fraction; None = the method takes none.
        views: see `shirg_lavida.vision.views`; None = the method's own.
        later: see `shirg_lavida.pruning.options`.
    """

    name: str
    method: str
    budget: Budget | None
    views: str | None
    later: str | None = None

    @classmethod
    def parse(cls, name: str, budget: str | None = None, later: str | None = None) -> Variant:
        """Read `v3-768@single`, or `v3@single` with a budget; options are for methods that choose later.

        Raises:
            BadInput: an unknown method or views, a budget where there must be none or none where there must be one, or
                options that the method does not have.
        """
        typed, amount, at = variant_parts(name)
        views = at[1:] if at else None
        with bad_input(ValueError, prefix=f"variant {name!r}: "):
            method = get_method(typed, COMMAND)
            method_views(method, views)
            if method.later is None:
                later = None
            later_options(method, later)
        if method.takes_budget and not amount:
            amount = budget or ""
        if method.takes_budget != bool(amount):
            wants = f"needs a budget: {method.name}-768, or --budget" if method.takes_budget else "takes no budget"
            raise BadInput(f"variant {name!r}: {method.name} {wants}")
        full = f"{method.name}-{amount}" if amount else method.name
        options = "" if later is None else f":{later}"
        return cls(full + at + options, method.name, parse_budget(amount) if amount else None, views, later)

    def pipeline(self, pipe: LavidaPipeline, seed: int) -> LavidaPipeline:
        """The same model, choosing this way.

        Raises:
            BadInput: a budget that the method refuses.
        """
        with bad_input(ValueError):
            return with_method(pipe, self.method, self.budget, self.views, seed, later=self.later, command=COMMAND)


def variants(
    names: str | None, pipe: LavidaPipeline, budget: str | None = None, later: str | None = None
) -> list[Variant]:
    """The variants of a comma-separated list; None = the table that fits the model.

    `budget` is that of methods named without one, `later` the options of those that choose later.

    Raises:
        BadInput: an empty list, a name given twice, one that is not a variant, or a budget or options that none of them
            takes.
    """
    if budget is not None:
        parse_budget(budget)
    if later is not None and names is None:
        raise BadInput(f"--later {later} is for methods that choose again while decoding, and --methods names none")
    own_views = Recommended.from_checkpoint(pipe.model.config.raw).views
    if names is None:
        return list(map(Variant.parse, (STANDARD if own_views is None else ONE_VIEW).names(budget)))
    listed = split_names("--methods", names)
    found = [Variant.parse(name, budget, later) for name in listed]
    if later is not None and all(each.later is None for each in found):
        raise BadInput(f"--later {later} is for methods that choose again while decoding, and {names} names none")
    if budget is not None and all(
        each.budget is None or variant_parts(name)[1] for name, each in zip(listed, found, strict=True)
    ):
        raise BadInput(f"--budget {budget} is for methods named without one, and {names} names none")
    return found
