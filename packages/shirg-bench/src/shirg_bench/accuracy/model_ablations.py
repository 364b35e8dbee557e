"""Ablations of what surrounds the selector: positions, newlines, adapters, resolution, cache, and later pruning.

The tower's size is fixed, so low resolution is made from the page, see `variant.Source`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from shirg_bench.accuracy.case import BUDGETS, SIXTH, THIRD, Adapters, Case, Comparison
from shirg_bench.accuracy.late import Late
from shirg_bench.accuracy.variant import Variant
from shirg_core.budget import kept_tokens
from shirg_core.layout import ViewLayout
from shirg_train.keep_ratio import PolicyConfig
from shirg_train.testbed.micro.config import CROPS, SizeConfig

BLIND = "v4:text_weight=0"
"""SHIRG-v4 without the question, which a selector does not always get, or cannot use where no text is aligned."""
_AFTER_ONE, _HALF = {"at": 0.25}, {"at": 0.5}
_CHOSEN_LATER: tuple[tuple[str, str, dict[str, Any], str], ...] = (
    ("v4", "v4", {}, ""),
    ("v4 without text", "v4", {"text_weight": 0.0}, ""),
    ("rerank from 2K", "rerank", {"wider": 2.0}, "prefill and 1 of 6 steps see 2K"),
    ("rerank from 4K", "rerank", {"wider": 4.0}, "prefill and 1 of 6 steps see 4K"),
    ("rerank from 2K without text", "rerank", {"wider": 2.0, "static": BLIND}, "prefill and 1 of 6 steps see 2K"),
    ("rerank from 4K without text", "rerank", {"wider": 4.0, "static": BLIND}, "prefill and 1 of 6 steps see 4K"),
    (
        "rerank from 4K without text, 3 steps",
        "rerank",
        {"wider": 4.0, "static": BLIND, "steps": 3},
        "3 of 6 steps see 4K",
    ),
    (
        "rerank from 4K without text, last layer",
        "rerank",
        {"wider": 4.0, "static": BLIND, "layers": (-1,)},
        "1 of 3 layers counts",
    ),
    ("two-stage", "two-stage", {"swap": 0.5, **_AFTER_ONE}, "K/2 swapped after 1 of 6 steps"),
    ("two-stage without text", "two-stage", {"swap": 0.5, **_AFTER_ONE, "static": BLIND}, "K/2 after 1 of 6 steps"),
    (
        "two-stage without text, K/4",
        "two-stage",
        {"swap": 0.25, **_AFTER_ONE, "static": BLIND},
        "K/4 after 1 of 6 steps",
    ),
    (
        "two-stage without text, K/4, halfway",
        "two-stage",
        {"swap": 0.25, **_HALF, "static": BLIND},
        "K/4 after 3 of 6 steps",
    ),
    ("two-stage, K/2 read", "two-stage", {"swap": 0, "read": 0.5, **_HALF}, "half unread after 3 of 6 steps"),
)
"""Name, method, options and note of lines of the ablation `late`."""

UNSEEN = "out of distribution: the model was trained with packed positions, row newlines and the prefix mask"
LOW_RESOLUTION = "the tower never saw such features in training"
NLL_TIMES = 4
ADAPTED = "micro-full is what adapters are for: the projector of micro is trained for selected tokens already"


def positions(_: Adapters) -> list[Comparison]:
    """Original rotary positions of the kept tokens, instead of consecutive ones."""
    return [
        Comparison(
            Case(f"{m} (packed)", Variant(PolicyConfig(m, b))),
            [Case(f"{m}, original", Variant(PolicyConfig(m, b), positions="original"), UNSEEN)],
        )
        for m in ("v2", "v3")
        for b in (THIRD, SIXTH)
    ]


def newline(_: Adapters) -> list[Comparison]:
    """Where learned newlines stand."""
    return [
        Comparison(
            Case(f"{name} (row)", Variant(policy)),
            [
                Case(f"{name}, newline per view", Variant(policy, newline="view"), UNSEEN),
                Case(f"{name}, no newline", Variant(policy, newline="none"), UNSEEN),
            ],
        )
        for name, policy in _whole_and(THIRD).items()
    ]


def adapter(adapters: Adapters) -> list[Comparison]:
    """Adapters with the first one given, each with the positions it was trained on."""
    if not adapters:
        return []
    return [
        Comparison(cases[0], cases[1:])
        for cases in (_with_adapters(name, policy, adapters) for name, policy in _policies_of_adapters())
    ]


def adapted(adapters: Adapters) -> list[Comparison]:
    """Adapters with the checkpoint as it is, and that with original positions."""
    if not adapters:
        return []
    return [
        Comparison(
            Case(f"{name}, un-adapted", Variant(policy, nll_times=NLL_TIMES)),
            [*_original(name, policy), *_with_adapters(name, policy, adapters)],
        )
        for name, policy in _policies_of_adapters()
    ]


def _original(method: str, policy: PolicyConfig) -> list[Case]:
    """The checkpoint as it is with original positions, which are no others unless tokens are dropped."""
    variant = Variant(policy, positions="original", nll_times=NLL_TIMES)
    return [Case(f"{method}, un-adapted, original positions", variant)] if policy.budget is not None else []


def lowres(_: Adapters) -> list[Comparison]:
    """Interpolated low-resolution features with genuine ones."""
    return [
        Comparison(
            Case(f"{name}, genuine", Variant(policy)),
            [
                Case(f"{name}, half-size page, features interpolated", Variant(policy, source="half"), LOW_RESOLUTION),
                Case(f"{name}, features pooled and interpolated", Variant(policy, source="pooled"), LOW_RESOLUTION),
                Case(f"{name}, page blurred", Variant(policy, source="blurred"), LOW_RESOLUTION),
            ],
        )
        for name, policy in _whole_and(THIRD).items()
    ]


def cache(_: Adapters) -> list[Comparison]:
    """Cache on and off, with and without selection, and without the prefix mask."""
    return [
        Comparison(
            Case(f"{name}, cache", Variant(policy)),
            [
                Case(f"{name}, no cache", Variant(policy, cache=False)),
                Case(f"{name}, no cache, no prefix mask", Variant(policy, cache=False, attention="full"), UNSEEN),
            ],
        )
        for name, policy in _whole_and(THIRD).items()
    ]


def views(_: Adapters) -> list[Comparison]:
    """Of five views: v2 without normalisation per view, and with the base view pooled and pinned, at equal K."""
    return [_five_views("v2", k, {}) for k in _kept_of_five_views()]


def views_variance(_: Adapters) -> list[Comparison]:
    """The same of the variance alone, which is what v2 normalises per view."""
    return [_five_views("v2, variance alone", k, {"alpha": 1.0, "beta": 0.0}) for k in _kept_of_five_views()]


def _five_views(name: str, k: int, options: dict[str, float]) -> Comparison:
    policy = PolicyConfig("v2", k, options=options)
    pinned = replace(policy, views="pooled_base")
    return Comparison(
        Case(name, Variant(policy)),
        [
            Case(f"{name}, normalised per image", Variant(policy, normalize="image")),
            Case(f"{name}, base view pooled and pinned", Variant(pinned), "pooled and single patches were never mixed"),
        ],
    )


def _kept_of_five_views() -> list[int]:
    size = SizeConfig()
    layout = ViewLayout.anyres(CROPS, CROPS, size.image_size // size.patch_size)
    return [kept_tokens(budget, layout) for budget in BUDGETS]


def late(_: Adapters) -> list[Comparison]:
    """Choosing inside the language model, by its own attention, against choosing once before it."""
    return [
        Comparison(
            Case("v2", Variant(PolicyConfig("v2", b))),
            [
                *(
                    Case(name, Variant(PolicyConfig(method, b, options=options)), note)
                    for name, method, options, note in _CHOSEN_LATER
                ),
                Case(
                    "FastV after layer 1",
                    Variant(late=Late("fastv", b, 1)),
                    "1 of 3 layers sees and keeps all patches",
                ),
                Case(
                    "FastV after layer 2", Variant(late=Late("fastv", b, 2)), "2 of 3 layers see and keep all patches"
                ),
                Case("RedVTP", Variant(late=Late("redvtp", b)), "prefill and first step see all patches"),
            ],
        )
        for b in BUDGETS
    ]


def _whole_and(budget: float) -> dict[str, PolicyConfig]:
    return {"full": PolicyConfig("baseline"), "v2": PolicyConfig("v2", budget), "v3": PolicyConfig("v3", budget)}


def _with_adapters(method: str, policy: PolicyConfig, adapters: Adapters) -> list[Case]:
    return [
        Case(f"{method}, {name}", Variant(policy, adapter=name, positions=own, nll_times=NLL_TIMES), ADAPTED)
        for name, own in adapters.items()
    ]


def _policies_of_adapters() -> list[tuple[str, PolicyConfig]]:
    whole = [("full", PolicyConfig("baseline")), ("pooling", PolicyConfig("pooling"))]
    return whole + [(m, PolicyConfig(m, b)) for m in ("v2", "v4") for b in BUDGETS]
