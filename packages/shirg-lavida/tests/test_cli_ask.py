import inspect
import json
import shutil
from importlib.metadata import entry_points

import pytest

from shirg_core.cli import commands
from shirg_lavida.checkpoint import embedded
from shirg_lavida.cli import ask
from shirg_lavida.pipeline import LavidaPipeline
from shirg_lavida.sampling.options import VALUES
from shirg_lavida.testing import set_config, write_tiny_checkpoint, write_tiny_tokenizer

from .ask_setup import PROMISED, REPRODUCIBLE, asked, embed, refused, shirg


def test_the_installed_package_brings_the_command():
    (entry,) = entry_points(group=commands.ENTRY_POINT_GROUP, name="ask")
    assert entry.value == "shirg_lavida.cli:ask"


def test_answer_and_facts(page, model, capsys):
    report = asked(page, model)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == report["answer"]
    assert report.keys() >= PROMISED | REPRODUCIBLE
    assert (report["method"], report["views"], report["nfe"]) == ("v4", "anyres", 8)
    assert report["budget"] == report["n_kept"] == len(report["indices"]) == round(0.25 * report["n_selectable"])
    assert report["indices"] == sorted(set(report["indices"]))
    assert report["kv_bytes"] == 2 * 2 * report["prefix_tokens"] * 64 * 4
    assert list(report["timings_ms"]) == ["image", "model", "embed", "prefill", "steps", "decode", "total"]
    text = "\n".join(lines)
    assert f"{report['budget']} of {report['n_selectable']} tokens" in text
    assert f"{report['prefix_tokens']} tokens, {report['visual_tokens']} of them for the image" in text
    assert "\x1b" not in text


def test_is_what_the_pipeline_answers(page, model):
    report = asked(page, model, "--method", "pooling", "--step-ratio", 0.5, "--schedule", "shift")
    answer = LavidaPipeline.from_pretrained(model)(
        page, "What is the total?", max_new_tokens=8, step_ratio=0.5, schedule="shift"
    )
    assert report["answer_ids"] == answer.ids.tolist()
    assert (report["answer"], report["nfe"], report["visual_tokens"]) == (answer.text, 4, answer.visual_tokens)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--method", "v3"], {"views": "single", "n_selectable": 100, "budget": 25, "summary": True}),
        (["--method", "v3", "--views", "anyres", "--budget", "20"], {"views": "anyres", "budget": 20}),
        (["--method", "full"], {"views": "anyres_full", "indices": None, "budget": 156, "n_kept": 156}),
        (["--method", "full", "--views", "single384"], {"n_kept": 36, "indices": None, "budget_asked": None}),
        (["--method", "pooling"], {"views": "anyres", "indices": None, "n_kept": 33}),
        (["--method", "pooling", "--views", "single384"], {"n_kept": 9, "budget_asked": None}),
        (["--method", "baseline"], {"views": "single384", "n_kept": 36, "indices": None}),
        (["--method", "dpp", "--budget", "12"], {"n_kept": 12}),
        (["--method", "random", "--seed", "3", "--budget", "12"], {"n_kept": 12, "summary": False}),
        (["--method", "top-relevance", "--budget", "12"], {"n_kept": 12}),
        (["--method", "rerank"], {"budget": 39, "n_kept": 39, "nfe": 8, "extra_passes": 0, "later": None}),
        (["--method", "rerank", "--later", "wider=3,layers=1+-1,steps=2,static=v2"], {"n_kept": 39}),
        (["--method", "two-stage", "--budget", "20"], {"n_kept": 20, "nfe": 8, "extra_passes": 1, "extra_tokens": 10}),
        (["--method", "two-stage", "--later", "swap=0,read=0.5"], {"n_kept": 20, "extra_passes": 0}),
        (["--no-cache"], {"kv_bytes": 0, "positions": "packed"}),
        (["--positions", "original"], {"positions": "original"}),
        (["--attention", "full", "--no-cache", "--steps", "4"], {"kv_bytes": 0, "nfe": 4}),
        (["--dtype", "bfloat16", "--device", "cpu"], {"device": "cpu", "nfe": 8}),
        (["--block-length", "4", "--steps", "4", "--remasking", "margin"], {"nfe": 4}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_methods_and_options(page, model, options, expected):
    report = asked(page, model, *options)
    assert {key: report[key] for key in expected} == expected
    assert report["method"] == (options[1] if options[0] == "--method" else "v4")


def test_every_option_of_the_sampler_is_one_of_the_command_and_in_the_summary(page, model):
    offered = inspect.signature(ask).parameters
    assert [offered[option.name].default for option in VALUES] == [None] * len(VALUES)
    own = {"stop_at_eos": True, "block_length": 32}
    report = asked(page, model, "--no-allow-mask-prediction")
    assert report["sampling"] == {o.name: o.default for o in VALUES} | own | {"allow_mask_prediction": False}


def test_a_seed_fixes_what_is_drawn_by_lot(page, model):
    drawn = [asked(page, model, "--temperature", 5, "--seed", seed)["answer_ids"] for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_the_checkpoint_says_how_it_is_asked(page, model, tmp_path):
    own = write_tiny_tokenizer(write_tiny_checkpoint(tmp_path / "own", side=6, patch_size=4))
    set_config(own, shirg={"views": "single384", "method": "v3", "budget": 7, "max_new_tokens": 4, "system": None})
    assert shirg("ask", page, "What?", "--model", own, "--json", "own.json") == 0
    report = json.loads((tmp_path / "own.json").read_text())
    assert (report["method"], report["views"], report["budget"], report["nfe"]) == ("v3", "single384", 7, 4)
    assert report["prefix_tokens"] < asked(page, model, "--method", "v3", "--budget", 7)["prefix_tokens"] - 100


def test_the_embedded_model_answers_when_none_is_named(page, model, monkeypatch, capsys):
    monkeypatch.setattr(embedded, "entry_points", lambda **_: [])
    line = refused(capsys, page, "What?")
    assert "embedded model comes with the training package" in line
    monkeypatch.setattr(embedded, "_tiny", lambda: model, raising=False)
    embed(monkeypatch, "shirg_lavida.checkpoint.embedded:_tiny")
    for named in ([], ["--model", "micro-joint"]):
        assert shirg("ask", page, "What?", "--max-new-tokens", 4, *named) == 0
    embed(monkeypatch, "shirg_lavida.checkpoint.embedded:nothing")
    capsys.readouterr()
    assert "the embedded model 'micro-joint'" in refused(capsys, page, "What?")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--method", "v33"], ["'v33'", "did you mean 'v3'", "known: v2, v3, v3-tower, v4, v4-tower, uniform"]),
        (["--method", "fastv"], ["'fastv'", "shirg ablate --what late"]),
        (["--method", "baseline", "--views", "single"], ["'baseline'", "single384", "'single'"]),
        (["--method", "rerank", "--later", "wider=0.5"], ["wider must be", "0.5"]),
        (["--method", "rerank", "--later", "layers=first"], ["layers must be", "2+3", "'first'"]),
        (["--method", "rerank", "--later", "layers=9"], ["layers must be in 1 … 2", "9"]),
        (["--method", "rerank", "--later", "static=full"], ["static must be a method that keeps exactly K", "'full'"]),
        (["--method", "rerank", "--later", "static=v4:alpha=1"], ["field of method 'v4'", "'alpha'"]),
        (["--method", "two-stage", "--later", "swop=3"], ["'swop', did you mean 'swap'"]),
        (["--method", "two-stage", "--later", "at=1"], ["at must be below 1"]),
        (["--later", "swap=3"], ["'v4' chooses once", "rerank and two-stage"]),
        (["--method", "two-stage", "--no-cache"], ["cache"]),
        (["--budget", "0"], ["'0'"]),
        (["--budget", "157"], ["157", "156"]),
        (["--views", "double"], ["--views must be", "'double'", "pooled_base"]),
        (["--positions", "absolute"], ["--positions", "packed, original", "'absolute'"]),
        (["--page", "2"], ["has 1 page, got page 2"]),
        (["--seed", str(2**70)], ["--seed", str(2**70)]),
        (["--step-ratio", "nan"], ["--step-ratio must be", "nan"]),
        (["--temperature", "inf"], ["--temperature must be", "inf"]),
        (["--max-new-tokens", "5120"], ["--max-new-tokens 5120", "4096"]),
        (["--block-length", "0"], ["--block-length must be an integer ≥ 1, got 0"]),
        (["--max-new-tokens", "0"], ["--max-new-tokens must be an integer ≥ 1, got 0"]),
        (["--eos-penalty", "-1"], ["--eos-penalty must be", "-1"]),
        (["--shift", "3"], ["--shift belongs to --schedule shift"]),
        (["--schedule", "sometimes"], ["--schedule must be", "'sometimes'", "shift"]),
        (["--remasking", "never"], ["--remasking must be", "'never'", "margin"]),
        (["--attention", "full"], ["--attention full", "--no-cache"]),
        (["--device", "nowhere"], ["--device nowhere"]),
        (["--dtype", "int8"], ["'int8'", "bfloat16"]),
        (["--method", "pooled", "--overlay", "kept.png"], ["--overlay", "pooling"]),
        (["--method", "pooled", "--budget", "3"], ["--budget", "pooling", "got 3"]),
        (["--compare", "--method", "scissor", "--budget", "3"], ["--budget", "scissor", "got 3"]),
        (["--overlay", "kept.xyz"], [".png"]),
        (["--json", "no/such/out.json"], ["no folder"]),
        (["--adapter", "."], ["no adapter", "adapter_config.json"]),
        (["--model", "nowhere"], ["'nowhere'", "hub id"]),
        (["--model", "."], ["not a LaViDa checkpoint"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_bad_calls(page, model, capsys, options, words):
    named = [] if options[0] == "--model" else ["--model", model]
    line = refused(capsys, "page.png", "What?", *named, *options)
    for word in words:
        assert word in line
    assert [path.name for path in page.parent.iterdir()] == ["page.png"]


@pytest.mark.parametrize("error", [NotImplementedError, AssertionError, ModuleNotFoundError])
def test_a_device_that_is_not_there_is_one_short_line(page, model, capsys, monkeypatch, error):
    def fails(*_, **__):
        raise error("Could not run 'aten::empty' there. It is only for these backends:\n\nCPU: registered at A.cpp:1")

    monkeypatch.setattr("shirg_lavida.cli.models.torch.empty", fails)
    line = refused(capsys, page, "What?", "--model", model, "--device", "cpu")
    assert line == "shirg: error: --device cpu: Could not run 'aten::empty' there\n"


def test_a_device_without_values_is_refused(page, model, capsys):
    line = refused(capsys, page, "What?", "--model", model, "--device", "meta")
    assert line == "shirg: error: --device meta: tensors there have no values\n"


def test_bad_questions_and_images(page, model, capsys):
    assert "question is empty" in refused(capsys, page, " ", "--model", model)
    assert shirg("ask", page, "Is <image> or <image> a word?", "--model", model, "--max-new-tokens", 4) == 0
    capsys.readouterr()
    assert "no such file" in refused(capsys, "none.png", "What?", "--model", model)


def test_a_hub_id_offline_is_one_line(page, capsys, monkeypatch):
    def offline(*_, **__):
        raise OSError("Got: ConnectError\nplease check your connection")

    monkeypatch.setattr("huggingface_hub.snapshot_download", offline)
    assert "'someone/model' is not a folder" in refused(capsys, page, "What?", "--model", "someone/model")


def test_a_tower_may_be_named(page, model, tmp_path, capsys):
    own = tmp_path / "own"
    shutil.copytree(model, own)
    set_config(own, mm_vision_tower="/data/authors/siglip")
    (own / "siglip_tower").rename(tmp_path / "tower")
    assert "--vision-tower" in refused(capsys, page, "What?", "--model", own)
    report = asked(page, own, "--vision-tower", "tower")
    assert report["answer_ids"] == asked(page, model)["answer_ids"]
    assert report["vision_tower"] == "tower"


def test_a_seed_out_of_range_is_refused_before_a_model_is_loaded(page, tmp_path, capsys):
    (tmp_path / "config.json").write_text("{}")
    assert "--seed" in refused(capsys, page, "What?", "--model", tmp_path, "--seed", -1)
