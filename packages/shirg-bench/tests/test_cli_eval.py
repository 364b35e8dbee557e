"""`shirg eval`: what an evaluation records and shows, and that lmms-eval's own command agrees."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from rich.console import Console

from shirg_bench.lmms import model as module
from shirg_bench.lmms import session
from shirg_bench.lmms.results import print_results, record

from .lmms_setup import evaluation, shirg

COSTS = {"visual_tokens": 8, "kv_bytes": 1024, "latency_ms": 3.0}


def test_no_model_named_is_the_embedded_one_whatever_folders_there_are(tasks, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "micro").mkdir()
    given = {"--tasks": "tiny_a", "--include-path": tasks, "--output": "out", "--limit": 1, "--device": "cpu"}
    assert shirg("eval", *(part for pair in given.items() for part in pair)) == 0
    results, _ = evaluation(tmp_path / "out")
    assert "--model" not in results["command"]


def test_results_carry_what_it_takes_to_trust_them(command, tmp_path, capsys):
    assert shirg(*command("out", "--tasks", "tiny_b, tiny_a", "--gen-kwargs", "block_length=4", "--seed", 3)) == 0
    shown = capsys.readouterr()
    assert "tiny_b" in shown.out
    assert "checksum" in shown.out
    assert shown.err == ""
    results, samples = evaluation(tmp_path / "out", "tiny_b")
    assert [sample["doc_id"] for sample in samples] == [0, 1, 2, 3]
    scored = sum(sample["checksum"] for sample in samples) / 4
    assert results["results"]["tiny_b"]["checksum,none"] == pytest.approx(scored)
    assert results["results"]["tiny_a"]["checksum,none"] == results["results"]["tiny_b"]["checksum,none"]
    assert results["seed"] == 3
    assert results["command"].startswith("shirg eval --tasks tiny_b,tiny_a --model ")
    assert {"shirg-bench", "shirg-core", "lmms-eval", "torch"} <= set(results["versions"])
    assert results["generation_kwargs"]["tiny_a"]["block_length"] == 4
    assert results["resolved"] == {"method": "v3", "budget": 0.5, "views": "single", "max_new_tokens": 32}
    assert results["costs"]["tiny_a"]["visual_tokens"] > 0
    assert results["throughput"]["avg_step_ms"] > 0
    (counts,) = samples[0]["token_counts"]
    assert {"latency_ms", "visual_tokens", "kv_bytes", "prefill_ms", "step_ms"} <= set(counts)
    assert "Postprocessing" in (tmp_path / "out" / "lmms_eval.log").read_text(encoding="utf-8")


def test_a_tiers_metric_counts_the_tiers_questions():
    samples = [
        {
            "doc_id": i,
            "checksum": 1.0,
            "checksum_plain" if i < 2 else "checksum_cluttered": 1.0,
            "token_counts": [COSTS],
        }
        for i in range(5)
    ]
    scores = {
        "checksum,none": 0.5,
        "checksum_stderr,none": 0.1,
        "checksum_plain,none": 0.5,
        "checksum_cluttered,none": 0.5,
    }
    upstream_says = {
        "results": {"t": {"alias": "t", **scores}},
        "n-samples": {"t": {"original": 9, "effective": 5}},
        "samples": {"t": [*samples, *samples]},
        "configs": {"t": {}},
    }
    content = record(upstream_says, settings={}, command="", seed=0, device=torch.device("cpu"))
    assert content["n-scored"] == {"t": {"checksum": 5, "checksum_plain": 2, "checksum_cluttered": 3}}
    console = Console(file=io.StringIO(), width=200)
    print_results(console, content, Path("results.json"))
    lines = [line.split() for line in console.file.getvalue().splitlines()[1:]]
    assert lines[0] == ["t", "checksum", "0.5000", "0.1000", "5", "8.0", "1.0", "3.0"]
    assert lines[1] == ["t", "checksum_plain", "0.5000", "2"]
    assert lines[2] == ["t", "checksum_cluttered", "0.5000", "3"]


def test_a_selector_sees_the_question_without_the_tasks_instructions(command, monkeypatch):
    asked, real = [], module.answer

    def spy(pipe, questions, *args, **options):
        asked.extend(questions)
        return real(pipe, questions, *args, **options)

    monkeypatch.setattr(module, "answer", spy)
    assert shirg(*command("told", "--tasks", "told", "--method", "v2")) == 0
    assert [question.words for question in asked] == [f"What is number {i}?" for i in range(4)]
    assert asked[1].text == "Look at the page. What is number 1?\nAnswer with one word."


def test_lmms_evals_own_command_agrees(command, folder, tasks, tmp_path):
    assert shirg(*command("ours")) == 0
    official = {
        "--model": "shirg_lavida",
        "--model_args": f"pretrained={folder},method=v3,budget=0.5,device=cpu",
        "--tasks": "tiny_a",
        "--include_path": str(tasks),
        "--limit": "4",
        "--output_path": str(tmp_path / "theirs"),
    }
    finished = subprocess.run(
        [sys.executable, "-m", "lmms_eval", *(p for pair in official.items() for p in pair), "--log_samples"],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
        cwd=tmp_path,
    )
    found = list((tmp_path / "theirs").rglob("*_results.json"))
    assert len(found) == 1, finished.stderr[-2000:]
    theirs = json.loads(found[0].read_text(encoding="utf-8"))
    (log,) = (tmp_path / "theirs").rglob("*_samples_tiny_a.jsonl")
    results, samples = evaluation(tmp_path / "ours")
    assert theirs["results"]["tiny_a"]["checksum,none"] == results["results"]["tiny_a"]["checksum,none"]
    answers = [json.loads(line)["filtered_resps"] for line in log.read_text(encoding="utf-8").splitlines()]
    assert answers == [sample["filtered_resps"][0] for sample in samples]
    assert "avg_peak_rss_mib" in finished.stdout


def test_the_recorded_command_says_how_many_processes_share_the_questions(command, monkeypatch):
    recorded = []
    monkeypatch.setattr(session, "run_session", lambda _, command, **_options: recorded.append(command))
    assert shirg(*command("out")) == 0
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert shirg(*command("out")) == 0
    assert recorded[1] == f"{recorded[0]} --processes 2"


def test_list_shows_our_tasks(capsys):
    assert shirg("eval", "--list") == 0
    shown = capsys.readouterr().out
    for name in ("shirg_docs", "shirg_charts", "shirg_needle", "shirg_chartqa_tiny"):
        assert name in shown


def test_help_needs_no_torch():
    code = "import sys, shirg_bench.cli.eval; sys.exit('torch' in sys.modules or 'lmms_eval' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
