"""Several images and questions in one call of `shirg ask`: each answer as alone, and a call that resumes."""

import io
import json
import shutil
import sys

import pytest
from PIL import Image
from safetensors.torch import load_file, save_file

from shirg_core.cli.errors import BadInput
from shirg_core.in_use import LOCK_FILE, hold
from shirg_lavida.checkpoint.weights import WEIGHTS_FILE
from shirg_lavida.pipeline import LavidaPipeline

from .ask_setup import asked, refused, shirg

QUESTIONS = "What is the total?\n\n  Who wrote it?\n"


def rows(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def argv(page, model):
    Image.new("RGB", (90, 60), "grey").save(page.parent / "other.png")
    (page.parent / "questions.txt").write_text(QUESTIONS, encoding="utf-8")
    return ("ask", "page.png", "other.png", "--model", model, "--max-new-tokens", 8)


def test_each_answer_is_as_alone(page, model, argv, capsys):
    out = page.parent / "rows.jsonl"
    assert shirg(*argv, "--questions", "questions.txt", "--json", out, "--overlay", "kept") == 0
    found = rows(out)
    asked_for = [(row["image"], row["question"]) for row in found]
    assert asked_for == [
        (name, q) for name in ("page.png", "other.png") for q in ("What is the total?", "Who wrote it?")
    ]
    assert f"page.png: Who wrote it? {found[1]['answer']}" in capsys.readouterr().out
    alone = asked(page, model)
    assert alone["answer_ids"] == found[0]["answer_ids"]
    assert (alone["confidence"], alone["indices"]) == (found[0]["confidence"], found[0]["indices"])
    names = {path.name for path in (page.parent / "kept").iterdir()} - {LOCK_FILE}
    assert names == {f"{stem}-q{number}.png" for stem in ("page", "other") for number in (1, 2)}


@pytest.mark.parametrize(("option", "name"), [("--json", "rows.jsonl"), ("--overlay", "kept")])
def test_the_second_of_two_calls_into_one_place_is_refused(page, argv, capsys, option, name):
    output = page.parent / name
    with hold(output, BadInput, file=option == "--json"):
        line = refused(capsys, *argv[1:], "--questions", "questions.txt", option, output)
    assert line == f"shirg: error: {output} is in use by another run; wait for it, or choose another\n"
    assert shirg(*argv, "--questions", "questions.txt", option, output) == 0


def test_lines_on_standard_output_and_questions_from_standard_input(argv, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(QUESTIONS.encode())))
    assert shirg(*argv, "--questions", "-", "--json", "-") == 0
    output = capsys.readouterr()
    assert len([json.loads(line) for line in output.out.splitlines()]) == 4
    assert shirg(*argv[:3], "What?", *argv[3:], "--quiet") == 0
    assert capsys.readouterr().out.count("\n") == 2


def test_a_killed_call_resumes(page, argv, capsys, monkeypatch):
    out = page.parent / "rows.jsonl"
    every = (*argv, "--questions", "questions.txt", "--json", out)
    assert shirg(*every) == 0
    whole = out.read_text(encoding="utf-8")
    first, second, *_ = whole.splitlines(keepends=True)
    out.write_text(first + second[:40], encoding="utf-8")
    capsys.readouterr()
    calls, answer = [], LavidaPipeline.__call__
    monkeypatch.setattr(LavidaPipeline, "__call__", lambda *a, **k: calls.append(a[2]) or answer(*a, **k))
    assert shirg(*every) == 0
    assert calls == ["Who wrote it?", "What is the total?", "Who wrote it?"]
    assert f"resumed, 1 of 4 answers are in {out}" in capsys.readouterr().err
    assert [row["answer_ids"] for row in rows(out)] == [json.loads(line)["answer_ids"] for line in whole.splitlines()]
    line = refused(capsys, *every[1:], "--budget", 9, "--temperature", 1)
    assert "budget_asked" in line
    assert "sampling" in line
    assert "dtype" not in line
    assert len(rows(out)) == 4
    out.write_text("[]\n", encoding="utf-8")
    assert "something else than lines of shirg.ask/2" in refused(capsys, *every[1:])


@pytest.mark.usefixtures("argv")
def test_answers_to_anything_else_are_not_taken_over(model, capsys, tmp_path):
    own = shutil.copytree(model, tmp_path / "own")
    every = ("page.png", "other.png", "What?", "--model", "own", "--max-new-tokens", 8, "--json", "rows.jsonl", "-q")
    assert shirg("ask", *every) == 0
    before = rows(tmp_path / "rows.jsonl")
    capsys.readouterr()
    assert "compare False, now True" in refused(capsys, *every, "--compare")
    assert "picture is not there, kept/page.png" in refused(capsys, *every, "--overlay", "kept")
    other = (tmp_path / "other.png").read_bytes()
    Image.new("RGB", (91, 60), "grey").save(tmp_path / "other.png")
    assert "other.png has changed since rows.jsonl was written" in refused(capsys, *every)
    (tmp_path / "other.png").write_bytes(other)
    weights = load_file(own / WEIGHTS_FILE)
    save_file({**weights, "model.image_newline": -weights["model.image_newline"]}, own / WEIGHTS_FILE)
    assert "weights_digest" in refused(capsys, *every)
    assert rows(tmp_path / "rows.jsonl") == before


def test_the_page_of_several_is_said(page, model, capsys):
    sheets = [Image.new("RGB", (40, 40), "white")] * 3
    sheets[0].save(page.parent / "p.pdf", save_all=True, append_images=sheets[1:])
    report = asked(page.parent / "p.pdf", model)
    assert (report["page"], report["pages"]) == (1, 3)
    assert "1 of 3" in capsys.readouterr().out


def test_what_cannot_be_asked_is_one_line(argv, capsys, tmp_path):
    (tmp_path / "blank.txt").write_text(" \n", encoding="utf-8")
    (tmp_path / "latin.txt").write_bytes(b"\xff")
    for words, message in (
        (("page.png",), "QUESTION"),
        ((), "QUESTION"),
        (("--questions", "blank.txt"), "IMAGE"),
        (("page.png", "--questions", "blank.txt"), "blank.txt: no question"),
        (("page.png", "--questions", "none.txt"), "none.txt"),
        (("page.png", "--questions", "latin.txt"), "latin.txt: 'utf-8'"),
        (("-", "--questions", "-"), "the same standard input"),
    ):
        assert message in refused(capsys, *words, *argv[3:])
