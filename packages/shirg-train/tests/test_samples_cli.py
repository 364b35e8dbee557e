"""The main job from the command line: sample pages, and answers from the embedded model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shirg_core.cli.app import main


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("samples")
    assert main(["samples", str(folder)]) == 0
    return folder


def test_samples_are_pictures_with_questions_and_answers(folder: Path) -> None:
    listed = json.loads((folder / "samples.json").read_text(encoding="utf-8"))
    assert {frozenset(sample) for sample in listed} == {frozenset({"image", "question", "answer"})}
    assert {path.name for path in folder.iterdir()} == {"samples.json", *(sample["image"] for sample in listed)}


def test_ask_answers_from_the_embedded_model_and_pooling_misreads(folder: Path, tmp_path: Path) -> None:
    sample = json.loads((folder / "samples.json").read_text(encoding="utf-8"))[0]
    asked = [str(folder / sample["image"]), sample["question"]]
    answers = {}
    for name, options in {"gated": [], "pooled": ["--method", "pooling"]}.items():
        assert main(["ask", *asked, *options, "--json", str(tmp_path / f"{name}.json")]) == 0
        answers[name] = json.loads((tmp_path / f"{name}.json").read_text(encoding="utf-8"))
    assert answers["gated"]["answer"] == sample["answer"]
    assert answers["pooled"]["answer"] != sample["answer"]
    assert answers["gated"]["kv_bytes"] < 196 * answers["pooled"]["kv_bytes"] / 49


def test_samples_into_a_file_is_one_clear_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("kept")
    assert main(["samples", str(tmp_path / "file")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert (tmp_path / "file").read_text() == "kept"
