"""What the registry says of a method."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Literal, TypeAlias

from shirg_core.names import check_known
from shirg_core.selection import Selector

Input: TypeAlias = Literal["text", "edges", "attention"]
Keeps: TypeAlias = Literal["exact", "layout", "image", "all"]
KEEPS: Mapping[Keeps, str] = {
    "exact": "exactly K",
    "layout": "fixed by layout",
    "image": "depends on image",
    "all": "every token",
}


@dataclass(frozen=True, eq=False)
class Method:
    """One way to choose visual tokens, under the name that every command, recipe and benchmark knows it by.

    Args:
        name: what people type.
        about: what it is, in one line.
        selector: a frozen dataclass whose instances are `Selector`s; None = there is nothing to choose.
        preset: fields of `selector` that make it this method; they cannot be given.
        needs: inputs without which the selector, built with its defaults, raises.
        keeps: the `exact` K of its `budget`, a count fixed by the `layout`, one that depends on the `image`, or
            `all`.
        merges: whether kept tokens are mixtures of patches.
        on_pixels: whether it compares the pixels of patches, before any tower, instead of features.
        views: what a model sees an image in for this method, unless the user or the checkpoint says otherwise.
        fixed_views: whether `views` are part of the method, so that nobody can say otherwise.
        released_on: views on which a model does this by itself, without a selector.
        only: the one command that runs it; None = every command.
        aliases: earlier names, which recipes and recorded results may use.
    """

    name: str
    about: str
    selector: type[Any] | None = None
    preset: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[Input, ...] = ()
    keeps: Keeps = "exact"
    merges: bool = False
    on_pixels: bool = False
    views: str | None = None
    fixed_views: bool = False
    released_on: str | None = None
    only: str | None = None
    aliases: tuple[str, ...] = ()

    @property
    def fields(self) -> tuple[str, ...]:
        """What `build` takes."""
        return (
            () if self.selector is None else tuple(f.name for f in fields(self.selector) if f.name not in self.preset)
        )

    @property
    def takes_budget(self) -> bool:
        """Whether a budget means anything to it."""
        return self.keeps == "exact"

    @property
    def tower_attention(self) -> bool:
        """Whether it is given the attention that the vision tower itself computed."""
        return "attention" in self.needs

    @property
    def one_by_one(self) -> bool:
        """Whether images of a batch are asked one at a time: each draws anew, or keeps a count of its own."""
        return "seed" in self.fields or self.keeps == "image"

    def as_json(self) -> dict[str, Any]:
        """What a list of methods says, in JSON's types."""
        return {
            "name": self.name,
            "about": self.about,
            "keeps": self.keeps,
            "merges": self.merges,
            "needs": list(self.needs),
            "fields": list(self.fields),
            "only": self.only,
            "aliases": list(self.aliases),
        }

    def accepted(self, **given: Any) -> dict[str, Any]:
        """Those of `given` that it takes; None = not given."""
        return {name: value for name, value in given.items() if value is not None and name in self.fields}

    def build(self, **given: Any) -> Selector:
        """The selector.

        Args:
            given: some of `fields`; `budget` is K ≥ 1 or a fraction.

        Raises:
            ValueError: a field that it does not have, a missing one, a value out of range, or there is no selector.
        """
        if self.selector is None:
            raise ValueError(f"method {self.name!r} has no selector: {self.about}")
        for name in given:
            check_known(name, self.fields, f"field of method {self.name!r}:")
        for one in fields(self.selector):
            if one.name in self.fields and one.default is MISSING and one.name not in given:
                raise ValueError(f"method {self.name!r} needs {one.name}")
        built: Selector = self.selector(**self.preset, **given)
        return built
