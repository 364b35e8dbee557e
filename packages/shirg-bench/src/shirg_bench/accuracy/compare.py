"""Measuring the ablations: each variant, and its paired difference to its reference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from shirg_bench.accuracy import model_ablations, selector_ablations
from shirg_bench.accuracy.case import Adapters, Case, Comparison
from shirg_bench.accuracy.learned import learned, measured_costs
from shirg_bench.accuracy.measure import Bench
from shirg_bench.accuracy.rows import Run, identity, paired, score_row
from shirg_bench.accuracy.variant import Variant
from shirg_train.testbed.micro.visual import VIEWS, views_of

ABLATIONS: dict[str, Callable[[Adapters], list[Comparison]]] = {
    "coverage": selector_ablations.coverage,
    "beta": selector_ablations.beta,
    "terms": selector_ablations.terms,
    "alpha": selector_ablations.alpha,
    "summary": selector_ablations.summary,
    "regions": selector_ablations.regions,
    "parts": selector_ablations.parts,
    "positions": model_ablations.positions,
    "newline": model_ablations.newline,
    "adapter": model_ablations.adapter,
    "adapted": model_ablations.adapted,
    "lowres": model_ablations.lowres,
    "cache": model_ablations.cache,
    "late": model_ablations.late,
    "views": model_ablations.views,
    "views-variance": model_ablations.views_variance,
}
"""Name → its comparisons, given the adapters at hand."""
NEEDS_ADAPTERS, NEEDS_VIEWS = ("adapter", "adapted"), ("views", "views-variance")
LEARNED = "learned"
"""Its comparisons come from training runs."""
BY_LINE = ("adapted", LEARNED)
"""Tables whose lines may be measured run by run: their reference is not one of the adapters that a run names."""


def comparisons_for(bench: Bench, ablation: str) -> list[Comparison]:
    """Those that a bench can measure; none where it lacks the adapters, training runs or views that it needs."""
    if ablation == LEARNED:
        return learned(bench.runs)
    if ablation in NEEDS_VIEWS and views_of(bench.models[None]) == VIEWS:
        return []
    return ABLATIONS[ablation](bench.adapters)


def variants_of(comparisons: Sequence[Comparison]) -> list[Variant]:
    """All variants, each once."""
    cases = [case for comparison in comparisons for case in (comparison.reference, *comparison.others)]
    return list({case.variant.key: case.variant for case in cases}.values())


def ablation_plan(run: Run, ablation: str) -> list[dict[str, Any]]:
    """What the rows of `ablate` will say before anything is measured."""
    return [
        _told(run, ablation, tier, reference, case)
        for tier in run.tiers
        for reference, others in comparisons_for(run.bench, ablation)
        for case in (reference, *others)
    ]


def ablate(run: Run, ablation: str) -> list[dict[str, Any]]:
    """Rows of kind `ablation`, references (difference 0) among them; none where see `comparisons_for`.

    Raises:
        ValueError: a selector that refuses.
    """
    comparisons = comparisons_for(run.bench, ablation)
    variants = variants_of(comparisons)
    rows = []
    costs = measured_costs(run.bench, variants) if ablation == LEARNED else {}
    for tier in run.tiers if variants else ():
        measured = run.answers(variants, tier)
        answers = dict(zip((variant.key for variant in variants), measured, strict=True))
        for reference, others in comparisons:
            for case in (reference, *others):
                mine = answers[case.variant.key]
                rows.append(
                    {
                        **_told(run, ablation, tier, reference, case),
                        **score_row(run, tier, case.variant, mine),
                        **paired(mine, answers[reference.variant.key]),
                        **costs.get(case.variant.key, {}),
                        "note": case.note,
                    }
                )
    return rows


def _told(run: Run, ablation: str, tier: str, reference: Case, case: Case) -> dict[str, Any]:
    names = {"kind": "ablation", "ablation": ablation, "variant": case.name, "reference": reference.name}
    return {**names, **identity(run, tier, case.variant)}
