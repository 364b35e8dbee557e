import hashlib
import inspect
import io
import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import EntryPoint, entry_points

import pytest
import torch
from PIL import Image, ImageDraw
from rich.console import Console

from shirg_core.cli import commands
from shirg_core.cli.app import main
from shirg_lavida.checkpoint import embedded
from shirg_lavida.cli import ask
from shirg_lavida.cli.notes import embedded_notes
from shirg_lavida.cli.stream import MASK, live_steps, partial_text
from shirg_lavida.methods import with_method
from shirg_lavida.pipeline import LavidaPipeline
from shirg_lavida.sampling.options import VALUES
from shirg_lavida.testing import MASK_ID, set_config, write_tiny_checkpoint
from shirg_lavida.testing_tokenizer import write_tiny_tokenizer

REPRODUCIBLE = {"schema", "model", "seed", "confidence", "versions", "image_sha256", "sampling", "device", "dtype"}
PROMISED = {"answer", "method", "budget", "prefix_tokens", "visual_tokens", "nfe", "kv_bytes", "timings_ms"}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_tiny_tokenizer(write_tiny_checkpoint(tmp_path_factory.mktemp("lavida") / "tiny", side=6, patch_size=4))


@pytest.fixture
def page(tmp_path, monkeypatch):
    monkeypatch.setattr(
        commands,
        "entry_points",
        lambda **_: [EntryPoint("ask", "shirg_lavida.cli:ask", commands.ENTRY_POINT_GROUP)],
    )
    monkeypatch.chdir(tmp_path)
    image = Image.new("RGB", (160, 200), "white")
    ImageDraw.Draw(image).text((20, 20), "Total 42\nand more", fill="black", font_size=24)
    image.save(tmp_path / "page.png")
    return tmp_path / "page.png"


def shirg(*argv):
    return main([str(part) for part in argv])


def asked(page, model, *options):
    """The JSON of a call that works, with eight new tokens."""
    out = page.parent / "out.json"
    argv = ("ask", page, "What is the total?", "--model", model, "--max-new-tokens", 8, "--json", out)
    assert shirg(*argv, *options) == 0
    return json.loads(out.read_text(encoding="utf-8"))


def refused(capsys, *argv):
    """The one line that a bad call prints."""
    assert shirg("ask", *argv) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("shirg: error: ")
    assert output.err.count("\n") == 1
    return output.err


def embed(monkeypatch, value):
    entry = EntryPoint("micro-joint", value, embedded.MODELS)
    asked_for = {"name": "micro-joint", "group": embedded.MODELS}
    monkeypatch.setattr(embedded, "entry_points", lambda **asked: [entry] * (asked == asked_for))


def test_the_installed_package_brings_the_command():
    (entry,) = entry_points(group=commands.ENTRY_POINT_GROUP, name="ask")
    assert entry.value == "shirg_lavida.cli:ask"


def test_answer_and_facts(page, model, capsys):
    report = asked(page, model)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == report["answer"]
    assert report.keys() >= PROMISED | REPRODUCIBLE
    assert (report["method"], report["views"], report["nfe"]) == ("v2", "anyres", 8)
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
    assert report["method"] == (options[1] if options[0] == "--method" else "v2")


def test_every_option_of_the_sampler_is_one_of_the_command_and_in_the_summary(page, model):
    offered = inspect.signature(ask).parameters
    assert [offered[option.name].default for option in VALUES] == [None] * len(VALUES)
    own = {"stop_at_eos": True, "block_length": 32}
    report = asked(page, model, "--no-allow-mask-prediction")
    assert report["sampling"] == {o.name: o.default for o in VALUES} | own | {"allow_mask_prediction": False}


def test_a_seed_fixes_what_is_drawn_by_lot(page, model):
    drawn = [asked(page, model, "--temperature", 5, "--seed", seed)["answer_ids"] for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_overlay_and_page(page, model, tmp_path):
    sheets = [Image.new("RGB", (40, 40), "white"), Image.new("RGB", (40, 60), "white")]
    sheets[0].save(tmp_path / "p.pdf", save_all=True, append_images=sheets[1:])
    report = asked(tmp_path / "p.pdf", model, "--page", 2, "--overlay", tmp_path / "kept.png")
    assert report["page"] == 2
    with Image.open(tmp_path / "kept.png") as picture:
        assert picture.width > 1000
    assert page.exists()


def test_compare_puts_pooling_full_and_shirg_side_by_side(page, model, capsys):
    report = asked(page, model, "--compare", "--method", "v3", "--views", "anyres")
    assert [each["method"] for each in report["compare"]] == ["pooling", "full", "v3"]
    assert (report["method"], report["answer"]) == ("v3", report["compare"][2]["answer"])
    kept = [each["n_kept"] for each in report["compare"]]
    assert kept == [33, 156, 39]
    text = capsys.readouterr().out
    assert all(word in text for word in ("pooling", "full", "v3", "156"))
    assert [each["method"] for each in asked(page, model, "--compare", "--method", "pooled")["compare"]][2] == "v2"


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
        (["--method", "v33"], ["'v33'", "did you mean 'v3'", "known: v2, v3, uniform"]),
        (["--method", "fastv"], ["'fastv'", "shirg ablate --what late"]),
        (["--method", "baseline", "--views", "single"], ["'baseline'", "single384", "'single'"]),
        (["--budget", "0"], ["'0'"]),
        (["--budget", "157"], ["157", "156"]),
        (["--views", "double"], ["'double'", "pooled_base"]),
        (["--positions", "absolute"], ["--positions", "packed, original", "'absolute'"]),
        (["--page", "2"], ["--page 2"]),
        (["--seed", str(2**70)], ["--seed", str(2**70)]),
        (["--step-ratio", "nan"], ["step_ratio", "nan"]),
        (["--temperature", "inf"], ["temperature", "inf"]),
        (["--max-new-tokens", "5120"], ["5120", "4096"]),
        (["--block-length", "0"], ["block_length must be an integer ≥ 1, got 0"]),
        (["--max-new-tokens", "0"], ["answer_length must be an integer ≥ 1, got 0"]),
        (["--eos-penalty", "-1"], ["eos_penalty", "-1"]),
        (["--shift", "3"], ["--shift belongs to --schedule shift"]),
        (["--schedule", "sometimes"], ["'sometimes'", "shift"]),
        (["--remasking", "never"], ["'never'", "margin"]),
        (["--attention", "full"], ["cache=False"]),
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
    assert "'someone/model' is no folder" in refused(capsys, page, "What?", "--model", "someone/model")


def test_the_summary_is_enough_to_get_the_answer_again(page, model):
    options = ("--temperature", 5, "--method", "random", "--budget", 12, "--no-stop-at-eos")
    first = asked(page, model, *options)
    assert 0 <= first["seed"] < 2**53
    again = asked(page, model, *options, "--seed", first["seed"])
    others = [asked(page, model, *options) for _ in range(2)]
    assert first["answer_ids"] == again["answer_ids"]
    assert first["seed"] not in {other["seed"] for other in others}
    assert first["model"] == str(model)
    assert first["versions"].keys() >= {"python", "torch", "transformers", "shirg-core", "shirg-lavida"}
    assert first["image_sha256"] == hashlib.sha256(page.read_bytes()).hexdigest()
    pipe = with_method(LavidaPipeline.from_pretrained(model), "random", 12, first["views"], first["seed"])
    generator = torch.Generator().manual_seed(first["seed"])
    answer = pipe(
        page, "What is the total?", max_new_tokens=first["max_new_tokens"], generator=generator, **first["sampling"]
    )
    assert answer.ids.tolist() == first["answer_ids"]
    assert first["confidence"]["min"] == pytest.approx(answer.confidence.min, abs=1e-5)


def test_nothing_random_has_no_seed(page, model):
    assert asked(page, model)["seed"] is None
    assert asked(page, model, "--remasking", "random")["seed"] is not None
    assert asked(page, model, "--eos-penalty", "inf")["sampling"]["eos_penalty"] == "inf"


def test_standard_streams(page, model, capsys, monkeypatch):
    filed = asked(page, model)
    capsys.readouterr()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(page.read_bytes())))
    argv = ("ask", "-", "What is the total?", "--model", model, "--max-new-tokens", 8, "--json", "-")
    assert shirg(*argv) == 0
    output = capsys.readouterr()
    piped = json.loads(output.out)
    assert (piped["answer_ids"], piped["image_sha256"]) == (filed["answer_ids"], filed["image_sha256"])
    assert (piped["image"], filed["image"]) == ("-", str(page))
    assert output.err.splitlines()[0] == piped["answer"]


def test_the_answer_is_said_before_anything_is_written(page, model, capsys, monkeypatch):
    expected = asked(page, model)["answer"]
    capsys.readouterr()

    def full(*_given, **_named):
        raise OSError(28, "No space left on device")

    for broken, option in (
        ("shirg_core.images.figure.save_figure", ("--overlay", "kept.png", "--json", "summary.json")),
        ("pathlib.Path.write_text", ("--json", "summary.json")),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(broken, full)
            assert shirg("ask", page, "What is the total?", "--model", model, "--max-new-tokens", 8, *option) == 2
        output = capsys.readouterr()
        assert output.out.splitlines()[0] == expected
        assert output.err == f"shirg: error: cannot write {option[1]}: [Errno 28] No space left on device\n"
        # A picture that cannot be written does not cost the summary.
        assert (page.parent / "summary.json").exists() == ("--overlay" in option)
        (page.parent / "summary.json").unlink(missing_ok=True)


def test_an_empty_answer_is_no_silent_success(page, model, capsys, monkeypatch):
    monkeypatch.setattr(LavidaPipeline, "text", lambda *_: "")
    report = asked(page, model)
    (note,) = report["notes"]
    assert "the answer is empty" in note
    assert capsys.readouterr().err == f"shirg: note: {note}\n"


def test_a_tower_may_be_named(page, model, tmp_path, capsys):
    own = tmp_path / "own"
    shutil.copytree(model, own)
    set_config(own, mm_vision_tower="/data/authors/siglip")
    (own / "siglip_tower").rename(tmp_path / "tower")
    assert "--vision-tower" in refused(capsys, page, "What?", "--model", own)
    report = asked(page, own, "--vision-tower", "tower")
    assert report["answer_ids"] == asked(page, model)["answer_ids"]
    assert report["vision_tower"] == "tower"


@pytest.mark.parametrize(
    ("size", "colour", "question", "words"),
    [
        ((39, 39), None, "ab", []),
        ((39, 39), None, "Describe ab", ["'describe'"]),
        ((39, 39), "grey", "ab", ["blank"]),
        ((1, 1), "white", "ab", ["blank"]),
        ((1240, 1754), None, "ab", ["1240 × 1754"]),
        ((10, 300), None, "ab", ["10 × 300"]),
    ],
)
def test_notes_name_what_an_embedded_model_cannot_read(model, size, colour, question, words):
    pipe = LavidaPipeline.from_pretrained(model)
    image = Image.effect_noise(size, 50).convert("RGB") if colour is None else Image.new("RGB", size, colour)
    answer = replace(pipe(Image.new("RGB", (39, 39)), "a", max_new_tokens=4), probabilities=torch.full((4,), 0.8))
    pipe.tokenizer.add_tokens(["ab"])
    notes = embedded_notes(pipe, image, question, answer)
    assert len(notes) == len(words)
    assert all(word in note for word, note in zip(words, notes, strict=True))
    unsure = embedded_notes(pipe, image, question, replace(answer, probabilities=torch.full((4,), 0.1)))
    assert unsure[:-1] == notes
    assert "unsure" in unsure[-1]


def test_only_embedded_models_have_notes_on_what_they_can_read(page, model, monkeypatch, capsys):
    argv = ("ask", page, "What is the zebra?", "--max-new-tokens", 4, "--json", "out.json")
    assert shirg(*argv, "--model", model) == 0
    assert "zebra" not in capsys.readouterr().err
    monkeypatch.setattr(embedded, "_tiny", lambda: model, raising=False)
    embed(monkeypatch, "shirg_lavida.checkpoint.embedded:_tiny")
    assert shirg(*argv) == 0
    output = capsys.readouterr()
    report = json.loads((page.parent / "out.json").read_text())
    assert output.err.splitlines() == [f"shirg: note: {note}" for note in report["notes"]]
    assert "zebra" in output.err
    assert "zebra" not in output.out
    assert report["model"] == "micro-joint"


def test_a_terminal_shows_the_steps(model):
    pipe = LavidaPipeline.from_pretrained(model)
    terminal = Console(file=io.StringIO(), force_terminal=True, width=80)
    with live_steps(terminal, pipe) as on_step:
        pipe(Image.new("RGB", (40, 40)), "What?", max_new_tokens=8, on_step=on_step)
    shown = terminal.file.getvalue()
    assert [int(n) for n in re.findall(r"step (\d+)", shown)] == [*range(1, 9), 8]
    assert MASK * 7 in shown
    with live_steps(Console(file=io.StringIO()), pipe) as on_step:
        assert on_step is None
    a, b = pipe.tokenizer("ab").input_ids
    assert partial_text(pipe, torch.tensor([a, MASK_ID, MASK_ID, b])) == f"a{MASK}{MASK}b"


def test_help_loads_no_model_library():
    code = "import sys, shirg_lavida.cli; print(sorted({'torch', 'transformers', 'rich'} & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"torch", "transformers"} & set(re.findall(r"\w+", loaded))


def test_a_seed_out_of_range_is_refused_before_a_model_is_loaded(page, tmp_path, capsys):
    (tmp_path / "config.json").write_text("{}")
    assert "--seed" in refused(capsys, page, "What?", "--model", tmp_path, "--seed", -1)


def test_help_shows_every_options_own_words(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["ask", "-h"]) == 0
    text = capsys.readouterr().out
    for words in (
        "IMAGE",
        "QUESTION",
        "--overlay",
        "-o",
        "Picture of the kept tokens",
        "1/4 or 25%",
        "Fraction of --steps",
    ):
        assert words in text, words
