"""`shirg eval --backend` on one of our tasks, from command to results."""

import json

import pytest

from shirg_bench.lmms.backends.model import PrunedBackend

from .backends_setup import qwen2_5_vl, write
from .lmms_setup import shirg, tiny_tasks

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write(qwen2_5_vl, tmp_path_factory.mktemp("qwen"))


@pytest.fixture
def command(model, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("LMMS_EVAL_DATASETS_CACHE", str(tmp_path / "data"))

    def build(name, *options):
        given = {"--backend": "qwen2_5_vl", "--model": model, "--device": "cpu", "--limit": 2}
        given |= {"--gen-kwargs": "max_new_tokens=4", "--output": tmp_path / name}
        given |= dict(zip(options[::2], options[1::2], strict=True))
        return ["eval", *(part for pair in given.items() if pair[1] is not None for part in pair)]

    return build


def read(folder):
    lines = (folder / "samples_shirg_docs.jsonl").read_text(encoding="utf-8").splitlines()
    return json.loads((folder / "results.json").read_text(encoding="utf-8")), [json.loads(line) for line in lines]


def test_an_evaluation_is_recorded_like_any_other_and_resumes(command, tmp_path, capsys, monkeypatch):
    tasks = ("--tasks", "shirg_docs,tiny_a", "--include-path", tiny_tasks(tmp_path, 2))
    quarter = (*tasks, "--method", "v2", "--budget", "1/4", "--positions", "packed")
    assert shirg(*command("whole")) == 0
    assert shirg(*command("quarter", *quarter)) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "note task tiny_a: ignored step_ratio=0.5: a diffusion sampler's" in said
    (whole, _), (found, samples) = (read(tmp_path / name) for name in ("whole", "quarter"))
    assert whole["resolved"] == {"method": "full", "budget": None, "positions": "original"}
    assert found["resolved"] == {"method": "v2", "budget": 0.25, "positions": "packed"}
    assert found["ignored"] == {"tiny_a": ["step_ratio=0.5: a diffusion sampler's"]}
    assert whole["costs"]["shirg_docs"]["visual_tokens"] == 256
    assert found["costs"]["shirg_docs"]["visual_tokens"] == 65
    assert found["costs"]["shirg_docs"]["nfe"] == 4
    assert found["throughput"]["avg_visual_tokens"] == (65 + found["costs"]["tiny_a"]["visual_tokens"]) / 2
    assert "--backend qwen2_5_vl" in found["command"]
    assert samples[0]["token_counts"][0]["prefill_ms"] > 0
    monkeypatch.setattr(PrunedBackend, "_ask", None)
    assert shirg(*command("quarter", *quarter)) == 0
    assert read(tmp_path / "quarter")[1] == samples
    assert shirg(*command("quarter", *quarter, "--positions", "original")) == 2
    assert "holds an evaluation with positions: 'packed', this one says 'original'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--model", None), "--backend qwen2_5_vl needs --model, a folder or a hub id"),
        (("--views", "single"), "--views applies to LaViDa models only, not to --backend qwen2_5_vl"),
        (
            ("--backend", None, "--backend-args", "a=1"),
            "--backend-args are arguments of a --backend, and none is given",
        ),
        (("--gen-kwargs", "step_ratio=0.5"), "--gen-kwargs: step_ratio is the diffusion sampler's, and a --backend is"),
        (("--gen-kwargs", "max_new_tokens=0"), "--gen-kwargs: max_new_tokens must be at least 1, got 0"),
        (("--gen-kwargs", "top_q=1"), "--gen-kwargs: unknown generation argument of a backend: 'top_q'"),
        (("--gen-kwargs", "temperature"), "--gen-kwargs must be name=value,name=value,…, got 'temperature'"),
        (("--gen-kwargs", "blck_length=none"), "--gen-kwargs: unknown generation argument 'blck_length', did you mean"),
        (("--budget", "9"), "method 'full' takes no budget, got 9"),
        (("--processes", "2"), "--processes 2 with a --backend needs as many GPUs, here are 0"),
    ],
)
def test_what_does_not_apply_is_one_line(command, capsys, options, message):
    assert shirg(*command("out", *options)) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
