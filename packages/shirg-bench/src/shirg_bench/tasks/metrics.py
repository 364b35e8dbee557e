"""Metrics of the tasks, and their breakdown by tier or print size.

ANLS (Biten et al. 2019, arXiv 1905.13648), for one prediction p and one answer a, with NL the edit distance over the
length of the longer: `1 − NL(a, p)` where NL < 0.5, else 0. lmms-eval's own `anls` keeps NL = 0.5 as 0.5; with
two-figure answers that would be half a point for one wrong figure, so the paper's strict bound is used.

Relaxed accuracy (Masry et al. 2022, arXiv 2203.10244, section 5.1): numbers within 5 % of the answer, anything else
exactly. The bound is closed and both numbers are taken as the decimals they are written as: 19 % is within 5 % of
20 %, which binary fractions would miss.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any

from shirg_bench.results.words import tier_words
from shirg_bench.tasks.spec import TASKS

ANLS_THRESHOLD = 0.5
RELAXED_TOLERANCE = Fraction(5, 100)
LARGEST_EXPONENT = 400
"""Longer numbers are compared as text: no answer is one, and exact arithmetic on them takes memory."""
Metric = Callable[[str, str], float]


def exact_match(prediction: str, answer: str) -> float:
    """1 where both are the same but for case and outer white space."""
    return float(_plain(prediction) == _plain(answer))


def anls(prediction: str, answer: str) -> float:
    """Similarity in [0, 1], see the module."""
    p, a = _plain(prediction), _plain(answer)
    distance = edit_distance(p, a) / max(len(p), len(a), 1)
    return 1 - distance if distance < ANLS_THRESHOLD else 0.0


def relaxed_accuracy(prediction: str, answer: str) -> float:
    """1 for a number within 5 % of the answer, bound included, or the same text; `7%` is 0.07."""
    p, a = _number(prediction), _number(answer)
    if p is None or a is None:
        return exact_match(prediction, answer)
    return float(abs(p - a) <= RELAXED_TOLERANCE * abs(a))


def edit_distance(a: str, b: str) -> int:
    """Fewest insertions, deletions and replacements that turn one into the other (Levenshtein)."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        above, row = row, [i]
        for j, y in enumerate(b, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (x != y)))
    return row[-1]


def docs_results(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, float]:
    """`process_results` of documents."""
    return _scores(doc, results, {"anls": anls, "exact_match": exact_match})


def charts_results(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, float]:
    """`process_results` of charts."""
    return _scores(doc, results, {"relaxed_accuracy": relaxed_accuracy, "exact_match": exact_match})


def needle_results(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, float]:
    """`process_results` of needles."""
    return _scores(doc, results, {"exact_match": exact_match})


def ocrbench_results(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, float]:
    """`process_results` of OCRBench: lmms-eval's own verdict on one answer, for a mean over what was asked.

    lmms-eval 0.7.3 adds the verdicts of all evaluations of a process and divides by 1000 whatever was asked.
    """
    from lmms_eval.tasks.ocrbench.utils import ocrbench_process_results  # type: ignore[import-untyped]

    return {"ocrbench_accuracy": float(ocrbench_process_results(doc, results)["ocrbench_accuracy"]["score"])}


def _scores(doc: Mapping[str, Any], results: Sequence[str], metrics: Mapping[str, Metric]) -> dict[str, float]:
    """Every metric under its own name, and once more under the name of the group that the question is of."""
    group = doc["print_size"] if TASKS[doc["task"]].scale.by_print else tier_words(doc["tier"])
    scores = {name: metric(results[0], doc["answer"]) for name, metric in metrics.items()}
    return scores | {f"{name}_{group}": score for name, score in scores.items()}


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _number(text: str) -> Fraction | None:
    plain = _plain(text)
    try:
        number = Decimal(plain.removesuffix("%"))
    except InvalidOperation:
        return None
    if not number.is_finite() or abs(number.adjusted()) > LARGEST_EXPONENT:
        return None
    return Fraction(number) / (100 if plain.endswith("%") else 1)
