"""What a killed evaluation has answered already, and what is another question."""

import pytest
from PIL import Image

from shirg_bench.lmms import digest
from shirg_bench.lmms import model as module
from shirg_bench.lmms.model import ShirgLavida
from shirg_bench.lmms.request import as_image
from shirg_lavida import LavidaPipeline

from .lmms_setup import DATA, SHORT, mixed, picture, request, texts


def test_a_killed_run_goes_on_where_it_stood(load, tmp_path, monkeypatch):
    class KilledError(Exception):
        pass

    def kill(done, _total):
        if done >= 4:
            raise KilledError

    hot = [request(*(one.args[4], one.args[3]), {**one.args[1], "temperature": 0.7}, one.args[0]) for one in mixed()]
    calls = []
    real = module.answer
    monkeypatch.setattr(module, "answer", lambda *a, **k: (calls.append(1), real(*a, **k))[1])
    uninterrupted = load(batch_size=2).generate_until(hot)
    calls.clear()
    with pytest.raises(KilledError):
        load(batch_size=2, journal=str(tmp_path), on_progress=kill).generate_until(hot)
    assert len(calls) == 2
    resumed = load(batch_size=2, journal=str(tmp_path)).generate_until(hot)
    assert len(calls) == 4
    assert texts(resumed) == texts(uninterrupted)
    load(batch_size=2, journal=str(tmp_path)).generate_until(hot)
    assert len(calls) == 4


def test_a_damaged_line_of_the_journal_is_said_and_only_its_answers_are_given_again(load, tmp_path, monkeypatch):
    calls, notes = [], []
    real = module.answer
    monkeypatch.setattr(module, "answer", lambda *a, **k: (calls.append(1), real(*a, **k))[1])
    first = load(journal=str(tmp_path)).generate_until(mixed())
    path = tmp_path / "answers_0.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join([lines[0], "\n", "\0" * 30 + "\n", *lines[3:]]), encoding="utf-8")
    again = load(journal=str(tmp_path), on_note=notes.append).generate_until(mixed())
    assert len(calls) == 6 + 2
    assert texts(again) == texts(first)
    where = "answers_0.jsonl, line 2; answers_0.jsonl, line 3"
    assert notes[0].startswith("resumed: ")
    assert notes[1:] == [f"2 damaged line(s) of the journal, answered again: {where}"]


@pytest.mark.parametrize(
    "change",
    [{"seed": 1}, {"budget": "0.25"}, {"method": "uniform"}, {"cache": False}, {"views": "single384"}],
    ids=lambda change: next(iter(change)),
)
def test_a_journal_answers_only_the_same_question(folder, tmp_path, monkeypatch, change):
    calls = []
    real = module.answer
    monkeypatch.setattr(module, "answer", lambda *a, **k: (calls.append(1), real(*a, **k))[1])
    for arguments in ({}, {}, change):
        given = {"method": "v3", "budget": "0.5", **arguments}
        lm = ShirgLavida(pretrained=str(folder), device="cpu", journal=str(tmp_path), **given)
        lm.task_dict = DATA
        lm.generate_until([request("a", 0, SHORT)])
    assert len(calls) == 2


def test_other_weights_images_or_sampling_are_other_questions(load, tmp_path, monkeypatch):
    calls = []
    real = module.answer
    monkeypatch.setattr(module, "answer", lambda *a, **k: (calls.append(1), real(*a, **k))[1])

    def ask(data=DATA, how=SHORT, text="What?", weights=0.0):
        lm = load(data, journal=str(tmp_path))
        lm.pipe.model.projector.get_parameter("0.weight").data.add_(weights)
        lm.generate_until([request("a", 0, how, text)])
        return len(calls)

    assert ask() == 1 == ask()
    assert ask(weights=1e-3) == 2
    assert ask(data={"a": {"test": [[picture("other")]]}}) == 3
    assert ask(how={**SHORT, "step_ratio": 0.5}) == 4
    assert ask(text="Why?") == 5


def test_a_picture_and_its_file_are_the_same_pixels(tmp_path):
    clear = Image.new("RGBA", (8, 6), (0, 0, 0, 0))
    clear.save(tmp_path / "clear.png")
    from_file, held = as_image(str(tmp_path / "clear.png"), "here"), as_image(clear, "here")
    assert held.tobytes() == from_file.tobytes() == b"\xff" * (8 * 6 * 3)


@pytest.mark.parametrize("suffix", ["jpg", "tiff", "png"])
def test_a_turned_picture_and_its_file_are_the_same_pixels(tmp_path, suffix):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / f"turned.{suffix}"
    picture("7").save(path, exif=exif)
    with Image.open(path) as opened:
        held = as_image(opened, "here")
    assert held.size == picture("7").size[::-1]
    assert held.tobytes() == as_image(str(path), "here").tobytes() == as_image(held, "here").tobytes()


def test_answers_of_edited_code_are_not_those_in_the_journal(folder, monkeypatch):
    pipe = LavidaPipeline.from_pretrained(folder)
    before = digest.run_digest(pipe, 0)
    assert digest.run_digest(pipe, 0) == before
    monkeypatch.setattr(digest, "source_digest", lambda _: "edited")
    assert digest.run_digest(pipe, 0) != before
