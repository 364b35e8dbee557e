import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from lmms_eval.api import task as upstream
from lmms_eval.tasks import TaskManager
from rich.console import Console

from shirg_bench.lmms import model as module
from shirg_bench.lmms import processes, session
from shirg_bench.lmms.catalogue import task_manager
from shirg_bench.lmms.overrides import overrides
from shirg_bench.lmms.results import print_results, record
from shirg_core.cli.errors import BadInput
from shirg_lavida.testing import set_config

from .lmms_setup import shirg, tiny_model, tiny_tasks

COSTS = {"visual_tokens": 8, "kv_bytes": 1024, "latency_ms": 3.0}


@pytest.fixture(scope="module", autouse=True)
def no_network(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LMMS_EVAL_DATASETS_CACHE", str(tmp_path_factory.mktemp("datasets")))
        patch.setenv("HF_HUB_OFFLINE", "1")
        upstream._resolve_hf_datasets_cache_dir.cache_clear()
        yield
    upstream._resolve_hf_datasets_cache_dir.cache_clear()


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("lavida"))


@pytest.fixture(scope="module")
def tasks(tmp_path_factory):
    return tiny_tasks(tmp_path_factory.mktemp("tasks"))


@pytest.fixture
def command(model, tasks, tmp_path):
    """Arguments of a small evaluation into `tmp_path/<name>`."""

    def build(name, *options):
        given = {"--tasks": "tiny_a", "--model": model, "--method": "v3", "--budget": 0.5, "--device": "cpu"}
        given |= {"--include-path": tasks, "--output": tmp_path / name, "--limit": 4}
        given |= dict(zip(options[::2], options[1::2], strict=True))
        return ["eval", *(part for pair in given.items() for part in pair)]

    return build


def read(folder, task="tiny_a"):
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    lines = (folder / f"samples_{task}.jsonl").read_text(encoding="utf-8").splitlines()
    return results, [json.loads(line) for line in lines]


def test_no_model_named_is_the_embedded_one_whatever_folders_there_are(tasks, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "micro").mkdir()
    given = {"--tasks": "tiny_a", "--include-path": tasks, "--output": "out", "--limit": 1, "--device": "cpu"}
    assert shirg("eval", *(part for pair in given.items() for part in pair)) == 0
    results, _ = read(tmp_path / "out")
    assert "--model" not in results["command"]


def refused(capsys, code, *argv):
    assert shirg(*argv) == code
    error = capsys.readouterr().err
    assert error.startswith("shirg: error: ")
    assert error.count("\n") == 1, error
    return error


def test_results_carry_what_it_takes_to_trust_them(command, tmp_path, capsys):
    assert shirg(*command("out", "--tasks", "tiny_b, tiny_a", "--gen-kwargs", "block_length=4", "--seed", 3)) == 0
    shown = capsys.readouterr()
    assert "tiny_b" in shown.out
    assert "checksum" in shown.out
    assert shown.err == ""
    results, samples = read(tmp_path / "out", "tiny_b")
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


@pytest.fixture(scope="module")
def finished(model, tasks, tmp_path_factory):
    """The folder of `command` as it stands."""
    folder = tmp_path_factory.mktemp("finished") / "out"
    given = {"--tasks": "tiny_a", "--model": model, "--method": "v3", "--budget": 0.5, "--device": "cpu"}
    given |= {"--include-path": tasks, "--output": folder, "--limit": 4}
    assert shirg("eval", *(part for pair in given.items() for part in pair)) == 0
    return folder


def test_a_killed_run_resumes_to_the_same_result(command, tmp_path, monkeypatch, capsys):
    assert shirg(*command("whole")) == 0
    real, calls = module.answer, []

    def dies(*args, **options):
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append(1)
        return real(*args, **options)

    monkeypatch.setattr(module, "answer", dies)
    assert shirg(*command("killed")) == 130
    assert not (tmp_path / "killed" / "results.json").exists()
    calls.clear()
    capsys.readouterr()
    assert shirg(*command("killed"), "--dry-run") == 0
    assert "killed, would resume: 2 answers are in the journal" in capsys.readouterr().out
    assert shirg(*command("killed")) == 0
    assert "note  resumed: 2 answers are in the journal" in capsys.readouterr().out
    assert len(calls) == 2
    assert shirg(*command("killed")) == 0
    assert "note  already finished" in capsys.readouterr().out
    (whole, samples), (resumed, again) = read(tmp_path / "whole"), read(tmp_path / "killed")
    assert resumed["results"] == whole["results"]
    assert [s["filtered_resps"] for s in again] == [s["filtered_resps"] for s in samples]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (("--seed", 1), "seed: 0, this one says 1"),
        (("--seed", 1, "--limit", 2), "limit: 4, this one says 2; seed: 0, this one says 1"),
        (("--budget", 0.25), "budget: '0.5', this one says '0.25'"),
        (("--tasks", "tiny_b"), "tasks: ['tiny_a'], this one says ['tiny_b']"),
        (("--limit", 2), "limit: 4, this one says 2"),
        (("--gen-kwargs", "steps=4"), "gen_kwargs: '', this one says 'steps=4'"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_results_of_other_settings_are_not_replaced(command, tmp_path, finished, capsys, changed, said):
    shutil.copytree(finished, tmp_path / "out")
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    for number in (1, 2):
        error = refused(capsys, 2, *command("out", *changed, "--processes", number))
        assert f"holds an evaluation with {said}; choose another --output" in error
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()} == before


def test_a_stopped_run_owns_its_folder_and_the_same_settings_resume(command, tmp_path, finished, capsys):
    shutil.copytree(finished, tmp_path / "out")
    (tmp_path / "out" / "results.json").unlink()
    assert "holds an evaluation with seed: 0, this one says 1" in refused(capsys, 2, *command("out", "--seed", 1))
    assert shirg(*command("out")) == 0
    assert read(tmp_path / "out")[1] == read(finished)[1]
    (tmp_path / "out" / "results.json").write_text("{", encoding="utf-8")
    assert "results.json is not the record of an evaluation" in refused(capsys, 2, *command("out"))


def test_a_run_that_answered_nothing_leaves_the_folder_free(command, capsys):
    assert "budget K=5000 is larger" in refused(capsys, 2, *command("out", "--budget", 5000))
    assert shirg(*command("out")) == 0


def test_a_selector_sees_the_question_without_the_tasks_instructions(command, monkeypatch):
    asked, real = [], module.answer

    def spy(pipe, questions, *args, **options):
        asked.extend(questions)
        return real(pipe, questions, *args, **options)

    monkeypatch.setattr(module, "answer", spy)
    assert shirg(*command("told", "--tasks", "told", "--method", "v2")) == 0
    assert [question.words for question in asked] == [f"What is number {i}?" for i in range(4)]
    assert asked[1].text == "Look at the page. What is number 1?\nAnswer with one word."


def test_lmms_evals_own_command_agrees(command, model, tasks, tmp_path):
    assert shirg(*command("ours")) == 0
    official = {
        "--model": "shirg_lavida",
        "--model_args": f"pretrained={model},method=v3,budget=0.5,device=cpu",
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
    results, samples = read(tmp_path / "ours")
    assert theirs["results"]["tiny_a"]["checksum,none"] == results["results"]["tiny_a"]["checksum,none"]
    answers = [json.loads(line)["filtered_resps"] for line in log.read_text(encoding="utf-8").splitlines()]
    assert answers == [sample["filtered_resps"][0] for sample in samples]
    assert "avg_peak_rss_mib" in finished.stdout


@pytest.fixture(scope="module")
def one_walk():
    """Reading lmms-eval's thousands of task files takes ten seconds; these tests share it."""
    with pytest.MonkeyPatch.context() as patch:
        walk, found = TaskManager._get_task_and_group, {}
        patch.setattr(
            TaskManager,
            "_get_task_and_group",
            lambda self, folder: found[folder] if folder in found else found.setdefault(folder, walk(self, folder)),
        )
        yield


@pytest.mark.usefixtures("one_walk")
def test_official_names_are_found_behind_ours(tasks):
    names = ["chartqa", "docvqa_val", "tiny_*", "shirg_ocrbench"]
    _, found = task_manager(names, [tasks], model_name="shirg_lavida")
    assert found == ["chartqa", "docvqa_val", "tiny_a", "tiny_b", "tiny_lost", "shirg_ocrbench"]
    with pytest.raises(BadInput, match=r"unknown task\(s\): chartqqa, nothing_\*"):
        task_manager(["chartqqa", "tiny_a", "nothing_*"], [tasks], model_name="shirg_lavida")


@pytest.mark.usefixtures("one_walk")
def test_data_out_of_reach_is_one_line_and_exit_code_1(command, monkeypatch, capsys, tmp_path):
    def unreachable(**options):
        raise ConnectionError(f"Couldn't reach {options['path']!r} on the Hub")

    monkeypatch.setattr(upstream.datasets, "load_dataset", unreachable)
    said = refused(capsys, 1, *command("out", "--tasks", "chartqa,docvqa_val"))
    assert "the data of task 'chartqa' cannot be loaded: no connection to the hub" in said
    assert "Traceback" in (tmp_path / "out" / "lmms_eval.log").read_text(encoding="utf-8")
    assert not (tmp_path / "out" / "results.json").exists()


def test_failures_are_one_line(command, capsys, tmp_path, monkeypatch):
    assert "unknown method 'v9'" in refused(capsys, 2, *command("out", "--method", "v9"))
    assert "unknown generation argument 'refix_lm'" in refused(
        capsys, 2, *command("out", "--gen-kwargs", "refix_lm=True")
    )
    assert "name=value" in refused(capsys, 2, *command("out", "--gen-kwargs", "steps"))
    assert "step_ratio must be" in refused(capsys, 2, *command("out", "--gen-kwargs", "step_ratio=0"))
    assert "--device foo" in refused(capsys, 2, *command("out", "--device", "foo"))
    assert "budget K=5000 is larger" in refused(capsys, 2, *command("out", "--method", "v2", "--budget", 5000))
    assert "--limit must be at least 1" in refused(capsys, 2, *command("out", "--limit", 0))
    assert "names no task" in refused(capsys, 2, *command("out", "--tasks", ","))
    assert "neither a folder nor a hub id" in refused(capsys, 2, *command("out", "--model", tmp_path / "none"))
    assert "the data of task 'tiny_lost'" in refused(capsys, 1, *command("out", "--tasks", "tiny_lost"))
    assert "--gen-kwargs: task 'tiny_a': " in refused(capsys, 2, *command("out", "--gen-kwargs", "do_sample=True"))
    # A task may hold any name, so what is left out is looked up in its file.
    assert "unknown generation argument 'step_ratoi', did you mean 'step_ratio'?" in refused(
        capsys, 2, *command("out", "--gen-kwargs", "step_ratoi=none")
    )
    assert "until must be a text or a list of texts, got 8" in refused(
        capsys, 2, *command("out", "--gen-kwargs", "until=8")
    )
    monkeypatch.setattr(module, "answer", lambda *_, **__: 1 / 0)
    assert "ZeroDivisionError" in refused(capsys, 1, *command("out"))


def test_a_budget_for_a_checkpoints_own_method_that_takes_none_is_refused_before_tasks(command, tmp_path, capsys):
    own = tiny_model(tmp_path)
    set_config(own, shirg={"method": "full", "views": "single"})
    argv = command("out", "--model", own, "--budget", 0.1, "--tasks", "tiny_lost")
    at = argv.index("--method")
    assert "method 'full', the checkpoint's own, takes no budget, got 0.1" in refused(
        capsys, 2, *argv[:at], *argv[at + 2 :]
    )


def test_a_temperature_wins_over_a_tasks_do_sample(command, tasks, tmp_path):
    greedy = Path(shutil.copytree(tasks, tmp_path / "greedy"))
    for path in greedy.glob("*.yaml"):
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace("  step_ratio", "  do_sample: false\n  step_ratio"), encoding="utf-8")
    hot = ("--include-path", greedy, "--limit", 1, "--gen-kwargs", "block_length=4, temperature=0.5")
    assert shirg(*command("out", *hot)) == 0
    results, _ = read(tmp_path / "out")
    assert results["generation_kwargs"]["tiny_a"]["temperature"] == 0.5
    assert results["generation_kwargs"]["tiny_a"]["do_sample"] is True


def test_arguments_of_official_tasks_are_followed_neutral_or_named(command, tasks, tmp_path, capsys):
    official = Path(shutil.copytree(tasks, tmp_path / "official"))
    path = official / "tiny_a.yaml"
    held = "  image_aspect_ratio: original\n  stop_sequences: ['a', 'e']\n  repetition_penalty: 1.2\n  step_ratio"
    path.write_text(path.read_text(encoding="utf-8").replace("  step_ratio", held), encoding="utf-8")
    asked = ("--include-path", official, "--tasks", "tiny_a,tiny_b", "--limit", 3)
    assert shirg(*command("out", *asked)) == 0
    why = "repetition_penalty=1.2: this sampler does not count repetitions"
    assert " ".join(capsys.readouterr().out.split()).count(f"note task tiny_a: ignored {why}") == 1
    results, samples = read(tmp_path / "out")
    assert results["ignored"] == {"tiny_a": [why]}
    _, whole = read(tmp_path / "out", "tiny_b")
    assert [sample["filtered_resps"][0] for sample in samples] == [
        re.split("[ae]", sample["filtered_resps"][0])[0].strip() for sample in whole
    ]
    left_out = "repetition_penalty=none, image_aspect_ratio=None, stop_sequences=none"
    assert shirg(*command("left", *asked, "--gen-kwargs", left_out)) == 0
    results, samples = read(tmp_path / "left")
    assert results["ignored"] == {}
    assert [sample["filtered_resps"] for sample in samples] == [sample["filtered_resps"] for sample in whole]
    assert f"--gen-kwargs: {why}; leave it out" in refused(
        capsys, 2, *command("typed", *asked, "--gen-kwargs", "repetition_penalty=1.2")
    )


@pytest.mark.parametrize(
    ("given", "passed_on"),
    [
        ("", ""),
        ("steps=4", "steps=4"),
        ("temperature=0.5", "temperature=0.5,do_sample=True"),
        ("temperature=0, until=\n", "temperature=0,until=\n,do_sample=False"),
        ("do_sample=False,temperature=0", "do_sample=False,temperature=0"),
        ("temperature=None", "temperature=None"),
    ],
)
def test_overrides_are_what_upstream_shall_read(given, passed_on):
    assert overrides(given) == passed_on


def test_what_processes_would_refuse_is_refused_before_there_are_any(command, monkeypatch, capsys):
    monkeypatch.setattr(processes, "run_processes", None)
    assert "unknown method 'bogus'" in refused(capsys, 2, *command("out", "--processes", 2, "--method", "bogus"))
    assert "name=value" in refused(capsys, 2, *command("out", "--processes", 2, "--gen-kwargs", "steps"))
    assert "neither a folder nor a hub id" in refused(
        capsys, 2, *command("out", "--processes", 2, "--model", "nowhere")
    )


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
