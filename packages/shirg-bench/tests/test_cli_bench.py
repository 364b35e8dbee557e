"""`shirg bench` from a checkpoint folder to tables and lines, and one line for whatever is wrong."""

import json
import re
import subprocess
import sys

import pytest
import torch

from shirg_bench.latency import subject as subjects
from shirg_bench.latency.random_models import RandomShape, random_pipeline
from shirg_core.cli.app import main
from shirg_lavida.language.backbone import Backbone
from shirg_lavida.language.config import BackboneConfig
from shirg_lavida.testing import tiny_vision, write_tiny_checkpoint, write_tiny_tokenizer

from .documented import check_documented

TINY = RandomShape(tiny_vision(side=5), BackboneConfig(32, 2, 2, 48, 256))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = write_tiny_checkpoint(tmp_path_factory.mktemp("bench") / "model", side=5)
    write_tiny_tokenizer(folder)
    return folder


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_checkpoint_folder(checkpoint, tmp_path, capsys):
    out = tmp_path / "out.jsonl"
    asked = ["--model", str(checkpoint), "--methods", "pooling,v3-9", "--max-new-tokens", "4", "--rounds", "2"]
    assert main(["bench", "--what", "latency,memory,ar", *asked, "--device", "cpu", "--json", str(out)]) == 0
    shown = capsys.readouterr()
    assert "× pooled" in shown.out
    assert {"times", "as", "fast"} <= set(shown.out.split())
    assert "Profiler" not in shown.err
    rows = lines(out)
    assert [(row["kind"], row["variant"]) for row in rows] == [
        *(("latency", name) for name in ("pooling", "pooling", "v3-9", "v3-9")),
        *(("autoregressive", name) for name in ("pooling",) * 3 + ("v3-9",) * 3),
    ]
    for row in rows:
        check_documented(row)
        assert row["model"] == str(checkpoint)
        assert row["dtype"] == "float32"
        assert row["seed"] == 0
        assert row["rounds"] == 2
        assert row["versions"]["torch"] == torch.__version__
        assert row["hardware"].endswith("thread time on 1 thread")
        assert row["command"].startswith(f"shirg bench --what latency,memory,ar --model {checkpoint} --methods")


def test_the_embedded_model_on_a_page_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "micro").mkdir()
    out = tmp_path / "out.jsonl"
    asked = ["--model", "micro", "--methods", "pooling,v2-0.3333,full", "--cache", "on", "--rounds", "1"]
    assert main(["bench", "--what", "latency", *asked, "--device", "cpu", "--json", str(out)]) == 0
    rows = {row["variant"]: row for row in lines(out)}
    # 14 × 14 tokens in one view: a quarter pooled, a third kept; newlines and v2's summary come on top.
    assert rows["full"]["visual_tokens"] == 196 + 14
    assert rows["pooling"]["visual_tokens"] == 49 + 7
    assert 65 + 1 < rows["v2-0.3333"]["visual_tokens"] <= 65 + 1 + 14
    assert rows["pooling"]["ratio_to_pooled"] == 1


def test_another_dtype_or_length_does_not_fill_a_line(checkpoint, tmp_path):
    out = tmp_path / "out.jsonl"
    asked = ["--model", str(checkpoint), "--methods", "pooling", "--cache", "on", "--device", "cpu", "--json", str(out)]
    short = ["--max-new-tokens", "3", "--step-ratio", "1"]
    assert main(["bench", "--what", "memory", *asked, *short]) == 0
    assert main(["bench", "--what", "latency", *asked, *short, "--dtype", "bfloat16", "--rounds", "1"]) == 0
    long = ["--max-new-tokens", "6", "--step-ratio", "0.5"]
    assert main(["bench", "--what", "latency", *asked, *long, "--rounds", "1"]) == 0
    found = [(row["dtype"], row["answer_tokens"], row["nfe"], row["rounds"]) for row in lines(out)]
    assert found == [("float32", 3, 3, 0), ("bfloat16", 3, 3, 1), ("float32", 6, 3, 1)]
    assert [(row["peak_bytes"] is None, row["step_ms"] is None) for row in lines(out)] == [
        (False, True),
        (True, False),
        (True, False),
    ]
    assert main(["bench", "--what", "memory", *asked, *long]) == 0
    filled = lines(out)[-1]
    assert (filled["answer_tokens"], filled["rounds"]) == (6, 1)
    assert None not in (filled["peak_bytes"], filled["step_ms"])


def test_selection_needs_no_model(monkeypatch, tmp_path):
    from shirg_bench.latency import run, selections
    from shirg_core.layout import ViewLayout

    monkeypatch.setattr(selections, "LAYOUTS", (ViewLayout.single(6, 6),))
    monkeypatch.setattr(selections, "BUDGETS", (8,))
    out = tmp_path / "out.jsonl"
    monkeypatch.setattr(run, "load_subject", None)
    asked = ["--rounds", "1", "--device", "cpu", "--json", str(out)]
    assert main(["bench", "--what", "selection", *asked]) == 0
    assert {row["schema"] for row in lines(out)} == {"shirg.selection/1"}
    check_documented(lines(out)[0])
    assert {row["command"] for row in lines(out)} == {"shirg bench --what selection --rounds 1 --device cpu --seed 0"}


def test_one_token_has_no_time_of_later_ones(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(subjects.RANDOM, "random-tiny", TINY)
    out = tmp_path / "out.jsonl"
    asked = ["--model", "random-tiny", "--max-new-tokens", "1", "--rounds", "1", "--device", "cpu", "--json", str(out)]
    assert main(["bench", "--what", "ar", *asked]) == 0
    shown = capsys.readouterr().out
    # Headings are broken at spaces: milliseconds per step, and none per token.
    assert re.search(r"\bstep\b", shown)
    assert not re.search(r"\btoken\b", shown)
    (row,) = lines(out)
    assert row["autoregressive_token_ms"] is None
    assert row["command"] == (
        "shirg bench --what ar --model random-tiny --rounds 1 --max-new-tokens 1 --device cpu --seed 0"
    )


def test_a_random_models_weights_depend_on_the_seed_alone():
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    one = random_pipeline(TINY, seed=3).model.backbone.wte.weight
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(one, random_pipeline(TINY, seed=3).model.backbone.wte.weight)
    assert not torch.equal(one, random_pipeline(TINY, seed=4).model.backbone.wte.weight)
    half = random_pipeline(TINY, dtype=torch.bfloat16).model
    assert {p.dtype for p in half.parameters()} == {torch.bfloat16}
    assert torch.get_default_dtype() == torch.float32


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        (["--what", "speed"], "--what takes latency, memory, ar, selection, got 'speed'"),
        (["--what", "selection", "--methods", "v3-9"], "--methods is for measuring a model; selection times every one"),
        (
            ["--what", "selection", "--model", "micro-full"],
            "--model is for latency, memory, ar, got 'micro-full' with --what sel",
        ),
        (["--what", "selection", "--dtype", "float32"], "--dtype is for latency, memory, ar, got 'float32' with"),
        (["--what", "selection", "--max-new-tokens", "4"], "--max-new-tokens is for latency, memory, ar, got 4 with"),
        (
            ["--what", "ar,selection", "--cache", "both"],
            "--cache is for latency, memory, got 'both' with --what ar,sel",
        ),
        (["--what", "ar", "--step-ratio", "0.25"], "--step-ratio is for latency, memory, got 0.25 with --what ar"),
        (["--what", "memory", "--rounds", "1"], "--rounds is for latency, ar, selection, got 1 with --what memory"),
        (["--cache", "maybe"], "--cache must be one of on, off, both, got 'maybe'"),
        (["--rounds", "0"], "--rounds must be ≥ 1, got 0"),
        (["--step-ratio", "2"], "--step-ratio must be in (0, 1], got 2"),
        (["--max-new-tokens", "0"], "--max-new-tokens must be ≥ 1, got 0"),
        (["--seed", "-1"], "--seed must be an integer in [0, 2⁶³), got -1"),
        (["--json", "/none/out.jsonl"], "cannot write /none/out.jsonl: no folder /none"),
        (["--model", "random-8b", "--device", "cpu"], "--model random-8b needs a CUDA device, got cpu"),
        (
            ["--model", "random-tiny", "--dtype", "int8"],
            "--dtype must be one of float32, bfloat16, float16, got 'int8'",
        ),
        (["--device", "abacus"], "--device abacus: "),
        (["--what", "selection", "--device", "meta"], "--device meta: tensors there have no values"),
        (
            ["--what", "ar", "--model", "random-tiny", "--methods", ""],
            "--methods takes different names separated by commas",
        ),
        (["--model", "random-tiny", "--methods", "v3"], "variant 'v3': v3 needs a budget"),
        (["--what", "selection", "--budget", "1/3"], "--budget is for latency, memory, ar, got '1/3' with --what sel"),
        (["--model", "random-tiny", "--budget", "0"], "--budget must be a count ≥ 1 or a fraction in (0, 1]"),
        (["--model", "random-tiny", "--methods", "v3-999@single384"], "budget K=999 is larger than the 25"),
    ],
)
def test_what_cannot_be_measured_is_one_line(asked, problem, capsys, monkeypatch):
    monkeypatch.setitem(subjects.RANDOM, "random-tiny", TINY)
    given = asked if "--device" in asked else [*asked, "--device", "cpu"]
    assert main(["bench", *given]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("shirg: error: ")
    assert problem in error


def test_a_model_whose_cache_is_wrong_fails_the_run(monkeypatch, capsys):
    monkeypatch.setitem(subjects.RANDOM, "random-tiny", TINY)
    denoise = Backbone.denoise
    monkeypatch.setattr(Backbone, "denoise", lambda *given, **named: 1.1 * denoise(*given, **named))
    assert main(["bench", "--model", "random-tiny", "--methods", "pooling", "--device", "cpu"]) == 1
    assert "cached and uncached logits differ" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        (["bench", "--methods", "v3-5,v9-5"], "unknown method 'v9'"),
        (["bench", "--methods", "v3", "--budget", "0"], "--budget must be a count"),
        (["eval", "--method", "v9"], "unknown method 'v9'"),
        (["ablate", "--what", "budget", "--methods", "v2,v9"], "--methods: unknown method 'v9'"),
    ],
)
def test_what_cannot_be_is_refused_before_torch_is_imported(asked, problem):
    code = "import sys; from shirg_core.cli.app import main; print(main(sys.argv[1:]), 'torch' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code, *asked], capture_output=True, text=True, check=True)
    assert ran.stdout == "2 False\n"
    assert problem in ran.stderr
