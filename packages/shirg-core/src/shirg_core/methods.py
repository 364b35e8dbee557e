"""The registry of methods: one line each, in the order in which tables show them.

A new method is a selector in a file of its own and a line here; every command, recipe, benchmark and plot has it then.
A package may add its own: `METHODS["mine"] = Method("mine", "What it is.", MySelector)`.
Cheap to import, so that commands refuse an unknown name before they wait for torch: selectors are named by their place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from shirg_core.checks import check_known

if TYPE_CHECKING:
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
        selector: a frozen dataclass whose instances are `Selector`s, or its place, `module:class` (`.module`: of
            shirg_core), from which it is imported when it is needed; None = there is nothing to choose.
        preset: fields of `selector` that make it this method; they cannot be given.
        needs: inputs without which the selector, built with its defaults, raises.
        takes: inputs that it uses where they can be had, and does without elsewhere.
        keeps: the `exact` K of its `budget`, a count fixed by the `layout`, one that depends on the `image`, or
            `all`.
        merges: whether kept tokens are mixtures of patches.
        on_pixels: whether it compares the pixels of patches, before any tower, instead of features.
        views: what a model sees an image in for this method, unless the user or the checkpoint says otherwise.
        fixed_views: whether `views` are part of the method and cannot be changed.
        released_on: views on which a model does this by itself, without a selector.
        later: the place, `module:class`, of what chooses while a diffusion language model decodes; it and the choice
            before it are built by `shirg_lavida.methods`. None = tokens are chosen once, before.
        only: the commands that run it; empty = every command.
        aliases: earlier names, which recipes and recorded results may use.
    """

    name: str
    about: str
    selector: type[Any] | str | None = None
    preset: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[Input, ...] = ()
    takes: tuple[Input, ...] = ()
    keeps: Keeps = "exact"
    merges: bool = False
    on_pixels: bool = False
    views: str | None = None
    fixed_views: bool = False
    released_on: str | None = None
    later: str | None = None
    only: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()

    @cached_property
    def selector_type(self) -> type[Any] | None:
        """The selector's class, imported now if it was not."""
        return _at(self.selector) if isinstance(self.selector, str) else self.selector

    @cached_property
    def later_type(self) -> type[Any] | None:
        """The class at `later`, imported now if it was not."""
        return None if self.later is None else _at(self.later)

    @property
    def fields(self) -> tuple[str, ...]:
        """What `build` takes; of a method that chooses later, what it is told in any case."""
        kind = self.selector_type
        if kind is None:
            return () if self.later is None else ("budget",)
        return tuple(f.name for f in fields(kind) if f.name not in self.preset)

    @property
    def only_in(self) -> str:
        """The commands that run it, for messages."""
        return " and ".join(f"`{command}`" for command in self.only)

    @property
    def sees_all(self) -> bool:
        """Whether nothing is chosen before the language model."""
        return self.keeps == "all" or (self.later is not None and not self.needs)

    @property
    def reads_text(self) -> bool:
        """Whether the question changes what it keeps."""
        return "text" in (*self.needs, *self.takes)

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
        """Whether images of a batch are selected one at a time: random methods, and counts that depend on the image."""
        return "seed" in self.fields or self.keeps == "image"

    def as_json(self) -> dict[str, Any]:
        """The method's entry in `shirg methods --json`."""
        return {
            "name": self.name,
            "about": self.about,
            "keeps": self.keeps,
            "merges": self.merges,
            "needs": list(self.needs),
            "takes": list(self.takes),
            "fields": list(self.fields),
            "only": " and ".join(self.only) or None,
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
        kind = self.selector_type
        if kind is None and self.later is not None:
            raise ValueError(
                f"method {self.name!r} chooses while a diffusion model decodes an answer: "
                "it runs in shirg ask, eval, bench and ablate"
            )
        if kind is None:
            raise ValueError(f"method {self.name!r} has no selector: {self.about}")
        for name in given:
            check_known(name, self.fields, f"field of method {self.name!r}:")
        for one in fields(kind):
            if one.name in self.fields and one.default is MISSING and one.name not in given:
                raise ValueError(f"method {self.name!r} needs {one.name}")
        built: Selector = kind(**self.preset, **given)
        return built


def _at(place: str) -> type[Any]:
    module, _, name = place.partition(":")
    found: type[Any] = getattr(import_module(module, "shirg_core"), name)
    return found


def _top(score: str, *needs: Input) -> Method:
    return Method(
        f"top-{score}", f"The K tokens with the highest {score} score.", ".baselines:TopScore", {"score": score}, needs
    )


def _learned(name: str, about: str, keeps: Keeps) -> Method:
    return Method(name, about, keeps=keeps, merges=keeps == "layout", only=("shirg ablate --what learned",))


METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method(
            "v2",
            "SHIRG-v2: variance, text relevance and edges; mean summary.",
            ".selection.v2:ShirgV2",
            needs=("text", "edges"),
        ),
        Method(
            "v3", "SHIRG-v3: attention, magnitude, gradient; weighted summary.", ".selection.v3:ShirgV3", views="single"
        ),
        Method(
            "v3-tower",
            "SHIRG-v3 with the attention that the vision tower itself computed.",
            ".selection.v3:ShirgV3",
            {"attention_of": "tower"},
            needs=("attention",),
            views="single",
        ),
        Method(
            "v4",
            "SHIRG-v4: edges, changing and distinct features, text where it aligns.",
            ".selection.v4:ShirgV4",
            needs=("edges",),
            takes=("text",),
        ),
        Method(
            "v4-tower",
            "SHIRG-v4 with the attention of the vision tower itself, too.",
            ".selection.v4:ShirgV4",
            {"attention_of": "tower"},
            needs=("edges", "attention"),
            takes=("text",),
        ),
        Method("uniform", "An evenly spaced grid of tokens in each view.", ".baselines:UniformGrid"),
        Method("random", "K tokens drawn at random.", ".baselines:RandomTokens"),
        Method(
            "pooling",
            "Average pooling over 2 × 2 tokens; on anyres views, the model's own pooling.",
            ".baselines:Pooling",
            keeps="layout",
            merges=True,
            released_on="anyres",
            aliases=("pooled",),
        ),
        _top("variance"),
        _top("magnitude"),
        _top("gradient"),
        _top("attention"),
        _top("distinctness"),
        _top("edge", "edges"),
        _top("relevance", "text"),
        Method("divprune", "DivPrune: farthest-point sampling by cosine distance.", ".baselines:FarthestPoint"),
        Method("tome", "ToMe: merges the most similar pairs, in rounds.", ".baselines:TokenMerging", merges=True),
        Method(
            "quadtree",
            "Quadtree of averaged blocks; better than pooling, worse than v2 and ToMe.",
            ".baselines:Quadtree",
            merges=True,
        ),
        Method("saint", "SAINT: drops tokens similar to many others, on the full graph.", ".baselines:SimilarityGraph"),
        Method("saint-vote", "SAINT with its bipartite vote.", ".baselines:BipartiteVote"),
        Method(
            "scissor",
            "LLaVA-Scissor: averages similar tokens.",
            ".baselines:ConnectedComponents",
            keeps="image",
            merges=True,
        ),
        Method(
            "cdpruner",
            "CDPruner: a determinantal point process given the text.",
            ".baselines:ConditionalDPP",
            needs=("text",),
        ),
        Method(
            "dpp",
            "CDPruner's determinantal point process without text.",
            ".baselines:ConditionalDPP",
            {"relevance": "uniform"},
        ),
        Method(
            "dedup-max",
            "PixelPrune, largest pixel difference.",
            ".baselines:Deduplication",
            {"metric": "max"},
            on_pixels=True,
        ),
        Method(
            "dedup-mean",
            "PixelPrune, mean pixel difference.",
            ".baselines:Deduplication",
            {"metric": "mean"},
            on_pixels=True,
        ),
        Method("full", "Every token of every view.", keeps="all", views="anyres_full"),
        Method("baseline", "Every token of a single 384-pixel view.", keeps="all", views="single384", fixed_views=True),
        Method("downsampled", "Every token of a blurred page.", keeps="all", only=("shirg ablate --what budget",)),
        Method(
            "rerank",
            "2K tokens of v4, then K of them by attention; no gain where v4 reads text.",
            needs=("edges",),
            takes=("text",),
            later="shirg_lavida.pruning.rerank:Rerank",
        ),
        Method(
            "two-stage",
            "K tokens of v4, half exchanged while decoding; no gain where v4 reads text.",
            needs=("edges",),
            takes=("text",),
            later="shirg_lavida.pruning.two_stage:TwoStage",
        ),
        Method(
            "fastv",
            "FastV: drops tokens inside the language model, after a layer.",
            later="shirg_lavida.pruning.fastv:FastV",
            only=("shirg ablate --what late", "shirg bench"),
        ),
        Method(
            "redvtp",
            "RedVTP: drops tokens inside the language model, after the first denoising step.",
            later="shirg_lavida.pruning.rerank:Rerank",
            only=("shirg ablate --what late", "shirg bench"),
        ),
        _learned("token-packer", "TokenPacker: a query per 2 × 2 tokens, refined by several layers.", "layout"),
        _learned("sms", "SMS of HiRes-LLaVA: pooled tokens attend to those they came from.", "layout"),
        _learned("laco", "LaCo: merges 2 × 2 tokens inside the tower.", "layout"),
        _learned("cropr", "Token Cropr: learned queries score and drop tokens in the tower.", "exact"),
        _learned("vision-selector", "VisionSelector: a learned score with a differentiable top-k.", "exact"),
        _learned("docvlm", "DocVLM: pooling, and learned queries on the page's true text.", "layout"),
    )
}
"""Name → method."""


def lookup(name: str) -> Method:
    """The method of a name or an alias.

    Raises:
        ValueError: an unknown name; the message suggests the nearest.
    """
    aliases = {alias: method.name for method in METHODS.values() for alias in method.aliases}
    known = aliases.get(name, name)
    check_known(known, METHODS, "method")
    return METHODS[known]


def get_method(name: str, command: str | None = None) -> Method:
    """The method of a name or an alias, for commands that run methods.

    Args:
        name: see `METHODS`.
        command: that asks, as `only` names it; None = one that `only` never names.

    Raises:
        ValueError: an unknown name, or a method that other commands run.
    """
    method = lookup(name)
    if method.only and command not in method.only:
        raise ValueError(f"method {method.name!r} runs only in {method.only_in}: {method.about}")
    return method


def get_selector(name: str, **fields: Any) -> Selector:
    """Build a selector by its name: `get_selector("v2", budget=0.25)`.

    Args:
        name: see `METHODS`, or `shirg methods`.
        fields: of the method; `budget` is K ≥ 1 or a fraction of the selectable tokens.

    Raises:
        ValueError: an unknown name, a field that the method does not have or needs and lacks, or a value out of range.
    """
    return get_method(name).build(**fields)


def compares_pixels(selector: Selector) -> bool:
    """Whether a selector is of a method that compares the pixels of patches instead of features."""
    return any(method.on_pixels and method.selector_type is type(selector) for method in METHODS.values())
