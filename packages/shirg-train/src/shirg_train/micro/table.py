"""The accuracy table of a micro checkpoint: every policy at every budget on every tier, as JSON lines and Markdown."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import transformers

from shirg_core.files import atomic_path
from shirg_lavida.adapter import merge_adapter
from shirg_lavida.checkpoint import load_lavida
from shirg_train.keep_ratio import PolicyConfig
from shirg_train.micro.config import DataConfig, SizeConfig
from shirg_train.micro.evaluate import evaluate
from shirg_train.pages.tokenizer import build_tokenizer

BUDGETS = (1 / 3, 1 / 6, 1 / 12)
SELECTORS = ("random", "uniform", "top-edge", "v2", "v3")
TERMS = ("top-variance", "top-relevance", "top-attention", "top-magnitude", "top-gradient")
"""Single terms of the two presets, to see which one fails."""


def table_policies(terms: bool = False) -> list[PolicyConfig]:
    """Full and pooled, then every selector at every budget; with `terms`, the presets' single terms, too."""
    methods = (*SELECTORS, *TERMS) if terms else SELECTORS
    return [
        PolicyConfig("baseline"),
        PolicyConfig("pooling"),
        *(PolicyConfig(method, budget) for method in methods for budget in BUDGETS),
    ]


def measure(
    checkpoint: Path,
    *,
    regime: str,
    tiers: Sequence[str],
    pages: int,
    data: DataConfig,
    policies: Sequence[PolicyConfig],
    adapter: Path | None = None,
    nll_times: int = 0,
    seed: int = 0,
    command: str = "",
) -> list[dict[str, Any]]:
    """Evaluate a checkpoint's own (bfloat16-rounded) weights in float32; one mapping per row.

    Args:
        checkpoint: a folder `save_lavida` wrote.
        regime: how it was trained, for the record.
        tiers: of pages.
        pages: per tier.
        data: how pages are drawn.
        policies: to compare.
        adapter: folder of a LoRA to merge first.
        nll_times: see `evaluate`.
        seed: of random selections.
        command: how to run this again, for the record.
    """
    model = load_lavida(checkpoint, dtype=torch.float32)
    if adapter is not None:
        merge_adapter(model, adapter)
    tokenizer = build_tokenizer()
    vision, llada = model.config.vision, model.config.llada
    size = SizeConfig(image_size=vision.image_size, patch_size=vision.patch_size, width=llada.d_model)
    record = {
        "regime": regime,
        "parameters": sum(p.numel() for p in model.parameters()),
        "seed": seed,
        "split": "test",
        "hardware": f"CPU, {torch.get_num_threads()} threads of {os.cpu_count()} cores",
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        },
        "command": command,
    }
    rows = []
    for tier in tiers:
        scores = evaluate(
            model,
            tokenizer,
            policies,
            size=size,
            data=data,
            tier=tier,
            pages=pages,
            seed=seed,
            nll_times=nll_times,
        )
        rows += [score.row() | record for score in scores]
    return rows


def write_rows(rows: Iterable[Mapping[str, Any]], path: Path) -> None:
    """One JSON object per line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        temporary.write_text("".join(json.dumps(dict(row)) + "\n" for row in rows), encoding="utf-8")


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as a table: one line per method and budget, one column per tier."""
    tiers = list(dict.fromkeys(row["tier"] for row in rows))
    lines = ["| method | budget | tokens | " + " | ".join(tiers) + " |", "|---|---|---|" + "---|" * len(tiers)]
    for method, budget in dict.fromkeys((row["method"], row["budget"]) for row in rows):
        here = {row["tier"]: row for row in rows if (row["method"], row["budget"]) == (method, budget)}
        cells = [f"{r['exact_match']:.3f} [{r['low']:.3f}, {r['high']:.3f}]" for r in map(here.__getitem__, tiers)]
        kept = "all" if budget is None else f"1/{round(1 / budget)}"
        tokens = next(iter(here.values()))["visual_tokens"]
        lines.append(f"| {method} | {kept} | {tokens:g} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"
