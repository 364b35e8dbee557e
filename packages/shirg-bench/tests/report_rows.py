"""Made-up rows in the shape of the results files, for tests of plots and of the report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ORIGIN = {"command": "made up", "seed": 0, "hardware": "no machine", "versions": {"python": "3.0"}}


def accuracy_row(method: str, budget: float | None, match: float, tier: str = "easy", **more: Any) -> dict[str, Any]:
    tokens = 210.0 if budget is None else 196 * budget + 10
    interval = {"exact_match": match, "low": match - 0.02, "high": match + 0.02}
    row = {
        "kind": "accuracy",
        "regime": "frozen tower",
        "tier": tier,
        "method": method,
        "budget": budget,
        "options": {},
    }
    recall = None if method == "pooling" else 0.5
    return row | {"visual_tokens": tokens, "value_recall": recall, "questions": 1024} | interval | ORIGIN | more


def accuracy_rows() -> list[dict[str, Any]]:
    rows = []
    for tier in ("easy", "hard"):
        rows += [accuracy_row("full", None, 0.9, tier), accuracy_row("pooling", None, 0.3, tier, visual_tokens=56.0)]
        for method, match in (("v2", 0.88), ("v3", 0.5), ("random", 0.1), ("divprune", 0.4)):
            rows += [accuracy_row(method, budget, match * budget**0.1, tier) for budget in (1 / 6, 1 / 3)]
    return rows


def ablation_row(ablation: str, variant: str, change: float, tier: str = "easy", **more: Any) -> dict[str, Any]:
    interval = {"difference": change, "difference_low": change - 0.02, "difference_high": change + 0.02}
    kind = {"kind": "ablation", "ablation": ablation, "variant": variant, "reference": "v2", "note": ""}
    return accuracy_row("v2", 1 / 3, 0.88 + change, tier) | kind | interval | more


def ablation_rows() -> list[dict[str, Any]]:
    rows = []
    for tier in ("easy", "hard"):
        rows += [ablation_row("coverage", "v2", 0.0, tier), ablation_row("coverage", "v2, no coverage", -0.03, tier)]
        rows += [ablation_row("beta", "v2", 0.0, tier), ablation_row("beta", "v2, β = 0", 0.01, tier, note="a note")]
    return rows


def latency_row(variant: str, method: str, budget: float | None, *, cache: bool = True, model: str = "micro") -> Any:
    tokens = 210 if budget is None else round(196 * budget) + 10
    times = {
        "select_ms": 0.5,
        "tower_ms": 2.0,
        "prefill_ms": 3.0,
        "step_ms": 1.0 + tokens / 100 * (1 + 9 * (not cache)),
    }
    sizes = {
        "visual_tokens": tokens,
        "prefix_tokens": tokens + 20,
        "kv_bytes": 2304 * tokens * cache,
        "peak_bytes": 2**20,
    }
    row = {"kind": "latency", "model": model, "variant": variant, "method": method, "budget": budget, "cache": cache}
    return row | sizes | times | {"end_to_end_ms": 10.0 + tokens / 10, "ratio_to_pooled": 1.0} | ORIGIN


def latency_rows() -> list[dict[str, Any]]:
    named = [
        ("pooling", "pooling", None),
        ("full", "full", None),
        ("v2-0.3333", "v2", 0.3333),
        ("v3-0.1667", "v3", 0.1667),
    ]
    return [latency_row(*each, cache=cache) for each in named for cache in (True, False)]


def other_rows() -> list[dict[str, Any]]:
    """What stands beside the rows of kind `latency` in the same file."""
    times = {"autoregressive_ms": 20.0, "diffusion_ms": 10.0, "speedup": 2.0, "speedup_end_to_end": 1.5}
    counts = {"nfe": 16, "answer_tokens": 32, "prefix_tokens": 99}
    one = {"kind": "autoregressive", "model": "micro", "variant": "pooling", **counts, **times, **ORIGIN}
    two = {"kind": "selection", "method": "v2", "tokens": 2304, "kept": 768, "select_ms": 7.0, "ratio_to_cosine": 0.05}
    return [one, {**two, "peak_bytes": 2**20, **ORIGIN}]


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def page_row(method: str, budget: float | None, kept: float | None, read: float | None = None) -> dict[str, Any]:
    row = {"kind": "pages", "source": "drawn", "pages": "0-9", "views": "single", "tower": "dinov2-vits14, 11 layers"}
    row |= {"method": method, "budget": budget, "count": 10, "value_pages": 9, "read_pages": 5, "with_print": 0.2}
    row |= {"skipped": 1, "unreadable": 2, "outside": 0}
    for name, value in (("print_kept", kept), ("value_kept", kept), ("words_read", read), ("lines_read", read)):
        row |= dict.fromkeys((name, f"{name}_low", f"{name}_high"), value)
    return row | ORIGIN


def page_rows() -> list[dict[str, Any]]:
    whole = [page_row("full page", None, None, 0.9), page_row("averaged page", None, None, 0.1)]
    return [*whole, page_row("v2", 1 / 3, 0.8, 0.7), page_row("v2", 1 / 6, 0.6), page_row("random", 1 / 3, 0.3)]
