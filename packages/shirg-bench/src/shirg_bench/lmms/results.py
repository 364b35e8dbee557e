"""What an evaluation leaves behind: its settings, `results.json`, one file of samples per task, and a table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from rich.console import Console

from shirg_bench.results.journal import is_begun
from shirg_bench.results.provenance import now, provenance
from shirg_bench.results.rows import plain, write_json, write_rows
from shirg_bench.results.table import Table, print_table
from shirg_core.cli.errors import BadInput, bad_input

SCHEMA = "shirg.eval/1"
"""Of `results.json`; `docs/json.md` lists its fields."""
RESULTS, SETTINGS, JOURNAL = "results.json", "settings.json", "journal"
_KEPT = (
    "resolved",
    "ignored",
    "results",
    "groups",
    "group_subtasks",
    "n-samples",
    "n-shot",
    "versions",
    "higher_is_better",
    "throughput",
)


def check_folder(folder: Path, settings: Mapping[str, Any]) -> None:
    """Refuse a folder that holds answers of an evaluation with other settings, whose results would be replaced.

    Raises:
        BadInput: naming the settings that differ, or a record of settings that cannot be read.
    """
    path = next((folder / name for name in (RESULTS, SETTINGS) if (folder / name).is_file()), None)
    if path is None or not (path.name == RESULTS or is_begun(folder / JOURNAL)):
        return
    with bad_input(OSError, ValueError, KeyError, TypeError, prefix=f"{path} is not the record of an evaluation: "):
        there = json.loads(path.read_text(encoding="utf-8"))
        old = _flat(there if path.name == SETTINGS else there["settings"])
    new = _flat(plain(settings))
    names = sorted((old.keys() | new.keys()) - {"output"})
    if differing := [name for name in names if old.get(name) != new.get(name)]:
        said = "; ".join(f"{name}: {old.get(name)!r}, this one says {new.get(name)!r}" for name in differing)
        raise BadInput(f"{folder} holds an evaluation with {said}; choose another --output")


def write_settings(folder: Path, settings: Mapping[str, Any]) -> None:
    """Keep what `check_folder` compares.

    Raises:
        OSError: it cannot be written.
    """
    write_json(folder / SETTINGS, plain(settings))


def record(
    results: Mapping[str, Any], *, settings: Mapping[str, Any], command: str, seed: int, device: torch.device
) -> dict[str, Any]:
    """Everything but the samples, in JSON's types."""
    kept = {name: results[name] for name in _KEPT if name in results}
    generation = {task: config.get("generation_kwargs") for task, config in results["configs"].items()}
    facts = {
        "schema": SCHEMA,
        "kind": "lmms_eval",
        **provenance(command, seed, device),
        "time": now(),
        "settings": settings,
    }
    facts["versions"]["lmms-eval"] = version("lmms-eval")
    kept["task_versions"] = kept.pop("versions", {})
    found = {"generation_kwargs": generation, "n-scored": scored(results), "costs": costs(results)}
    content: dict[str, Any] = plain({**facts, **kept, **found})
    return content


def scored(results: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """Per task and metric, the questions that count in it: a metric of a tier has those of the tier only."""
    found = {}
    for task, samples in results["samples"].items():
        metrics = {key.partition(",")[0] for key in results["results"].get(task, {}) if "," in key}
        found[task] = {
            metric: n
            for metric in sorted(metrics)
            if (n := len({sample["doc_id"] for sample in samples if metric in sample}))
        }
    return found


def costs(results: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Per task, means over the answers of what each cost."""
    found = {}
    for task, samples in results["samples"].items():
        counts = [count for sample in samples for count in sample["token_counts"] if count and "latency_ms" in count]
        if counts:
            found[task] = {name: round(fmean(count[name] for count in counts), 3) for name in counts[0]}
    return found


def write_results(folder: Path, content: Mapping[str, Any], samples: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Write all files, each whole or not at all, samples in the order of their documents.

    Raises:
        OSError: a file cannot be written.
    """
    for task, rows in samples.items():
        ordered = sorted(rows, key=lambda row: row["doc_id"])
        write_rows(folder / f"samples_{task}.jsonl", map(plain, ordered))
    write_json(folder / RESULTS, content)


def print_results(console: Console, content: Mapping[str, Any], written: Path) -> None:
    """One line per task and metric; n = the questions that count in it.

    Tokens, cache and milliseconds are means over all of the task's answers, so a metric of some of them has none.
    """
    rows = []
    for task, row in {**content["results"], **content.get("groups", {})}.items():
        asked = content["n-samples"].get(task, {}).get("effective", "")
        for key, value in row.items():
            metric, comma, name = key.partition(",")
            if comma and isinstance(value, int | float) and not metric.endswith(("_stderr", "_stderr_clt")):
                error = row.get(f"{metric}_stderr,{name}")
                deviation = f"{error:.4f}" if isinstance(error, float) else ""
                n = content["n-scored"].get(task, {}).get(metric, asked)
                spent = _spent(content["costs"].get(task) if n == asked else None)
                rows.append((task, metric, f"{value:.4f}", deviation, str(n), *spent))
    header = ("task", "metric", "value", "± stderr", "n", "tokens", "KV KiB", "ms")
    print_table(Table("", header, rows), console, names=2)
    console.print(f"written  {written}", markup=False, highlight=False)


def _spent(costs: Mapping[str, float] | None) -> tuple[str, str, str]:
    if costs is None:
        return "", "", ""
    return f"{costs['visual_tokens']:.1f}", f"{costs['kv_bytes'] / 1024:.1f}", f"{costs['latency_ms']:.1f}"


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {**{name: value for name, value in settings.items() if name != "model"}, **settings["model"]}
