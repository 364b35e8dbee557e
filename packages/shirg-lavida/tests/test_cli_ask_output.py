"""What `shirg ask` prints and writes: answer, summary, overlay, notes, streams, help."""

import hashlib
import io
import json
import re
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console

from shirg_core.cli.app import main
from shirg_core.cli.output import report_console
from shirg_core.images.overlay import display_size
from shirg_lavida.checkpoint import embedded
from shirg_lavida.cli.notes import embedded_notes
from shirg_lavida.cli.picture import seen_image
from shirg_lavida.cli.report import print_text
from shirg_lavida.cli.stream import MASK, live_steps, partial_text
from shirg_lavida.methods import with_method
from shirg_lavida.pipeline import LavidaPipeline
from shirg_lavida.testing import MASK_ID
from shirg_lavida.vision.views import plan_views

from .ask_setup import asked, embed, shirg


def test_overlay_and_page(page, model, tmp_path):
    sheets = [Image.new("RGB", (40, 40), "white"), Image.new("RGB", (40, 60), "white")]
    sheets[0].save(tmp_path / "p.pdf", save_all=True, append_images=sheets[1:])
    report = asked(tmp_path / "p.pdf", model, "--page", 2, "--overlay", tmp_path / "kept.png")
    assert report["page"] == 2
    with Image.open(tmp_path / "kept.png") as picture:
        assert picture.width > 1000
    assert page.exists()


def test_compare_puts_pooling_full_and_shirg_side_by_side(page, model, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    report = asked(page, model, "--compare", "--method", "v3", "--views", "anyres")
    assert [each["method"] for each in report["compare"]] == ["pooling", "full", "v3"]
    assert (report["method"], report["answer"]) == ("v3", report["compare"][2]["answer"])
    kept = [each["n_kept"] for each in report["compare"]]
    assert kept == [33, 156, 39]
    text = capsys.readouterr().out
    assert all(word in text for word in ("pooling", "full", "v3", "156"))
    totals = [f"{each['timings_ms']['total']:.1f}" for each in report["compare"]]
    assert all(f" {total}" in text for total in totals), "no column is cut on a narrow terminal"
    assert [each["method"] for each in asked(page, model, "--compare", "--method", "pooled")["compare"]][2] == "v4"


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


@pytest.mark.parametrize("options", [(), ("--compare",)], ids=["one", "compare"])
def test_quiet_prints_the_answer_alone(page, model, capsys, tmp_path, options):
    expected = asked(page, model)["answer"]
    capsys.readouterr()
    picture = ("--overlay", tmp_path / "kept.png", *options)
    assert asked(page, model, "--quiet", *picture)["answer"] == expected
    assert capsys.readouterr() == (f"{expected}\n", "")
    assert (tmp_path / "kept.png").exists()


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
        ("shirg_core.plot.save_figure", ("--overlay", "kept.png", "--json", "summary.json")),
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
    for console, quiet in ((Console(file=io.StringIO()), False), (terminal, True)):
        with live_steps(console, pipe, quiet=quiet) as on_step:
            assert on_step is None
    a, b = pipe.tokenizer("ab").input_ids
    assert partial_text(pipe, torch.tensor([a, MASK_ID, MASK_ID, b])) == f"a{MASK}{MASK}b"


def test_help_loads_no_model_library():
    code = "import sys, shirg_lavida.cli; print(sorted({'torch', 'transformers', 'rich'} & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"torch", "transformers"} & set(re.findall(r"\w+", loaded))


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


@pytest.mark.parametrize("views", ["single384", "anyres"])
def test_the_overlay_shows_what_the_tower_saw(model, views):
    config = LavidaPipeline.from_pretrained(model).model.config
    side = config.vision.image_size
    lines = np.zeros((40 * side, 60 * side, 3), dtype=np.uint8)
    lines[:, ::2] = 255
    fine = Image.fromarray(lines)
    seen = np.asarray(seen_image(fine, plan_views(config, fine.size, views, selecting=True)), dtype=float)
    assert seen.std() < 10, "lines that the tower cannot tell apart are grey"
    assert seen.shape[1] / seen.shape[0] == pytest.approx(1.5, rel=0.05)
    sharp = Image.fromarray(np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8))
    shown = seen_image(sharp, plan_views(config, sharp.size, "single384", selecting=True))
    assert shown == sharp.resize(display_size(sharp.size), Image.Resampling.LANCZOS), "what it saw whole stays as it is"


def test_what_looks_like_an_emoji_or_markup_in_an_answer_is_text(capsys):
    print_text(report_console(None), SimpleNamespace(answer=SimpleNamespace(text=":key: [bold]")))
    assert capsys.readouterr().out == ":key: [bold]\n"
