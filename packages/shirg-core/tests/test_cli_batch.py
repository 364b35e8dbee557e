"""Several images, folders and pages in one call of `shirg select` and `shirg compare`."""

import io
import json
import re
import sys

import pytest
from PIL import Image, ImageDraw

from shirg_core.cli.app import main

CHEAP = {"select": ("--method", "uniform"), "compare": ("--methods", "uniform,random")}


def shirg(command, *argv):
    return main([command, *CHEAP[command], "--budget", "64", *map(str, argv)])


@pytest.fixture
def scans(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scans").mkdir()
    sheets = []
    for number in range(3):
        sheet = Image.new("RGB", (300, 400), "white")
        ImageDraw.Draw(sheet).text((20 + 60 * number, 30 * number), f"Page {number}", fill="black", font_size=40)
        sheets.append(sheet)
    sheets[0].save("scans/b.tif", save_all=True, append_images=sheets[1:])
    sheets[0].save("scans/a.pdf", save_all=True, append_images=sheets[1:])
    sheets[1].save("one.png")
    (tmp_path / "scans" / "notes.txt").write_text("no image")
    return tmp_path


def rows(text):
    return [json.loads(line) for line in text.splitlines()]


def test_every_page_of_a_folder_is_as_alone(scans, capsys):
    assert shirg("select", "scans", "one.png", "--pages", "all", "--json", "-", "-o", "kept") == 0
    output = capsys.readouterr()
    found = rows(output.out)
    expected = [("scans/a.pdf", page, 3) for page in (1, 2, 3)] + [("scans/b.tif", page, 3) for page in (1, 2, 3)]
    assert [(row["image"], row["page"], row["pages"]) for row in found] == [*expected, ("one.png", 1, 1)]
    assert "scans/b.tif, page 2: uniform · kept 64 of 2304 tokens · 1 region ·" in output.err
    names = {path.name for path in (scans / "kept").iterdir()}
    assert names == {f"{stem}{page}.png" for stem in "ab" for page in ("", "-p2", "-p3")} | {"one.png"}
    assert shirg("select", "scans/b.tif", "--page", 3, "--json", "o.json", "-o", "alone.png") == 0
    alone = json.loads((scans / "o.json").read_text())
    assert {**alone, "timings_ms": 0} == {**found[5], "timings_ms": 0}
    assert (scans / "alone.png").read_bytes() == (scans / "kept" / "b-p3.png").read_bytes()


@pytest.mark.parametrize("command", ["select", "compare"])
def test_a_page_of_several_says_so(scans, capsys, command):
    assert shirg(command, scans / "scans" / "a.pdf") == 0
    assert re.search(r"page +1 of 3", capsys.readouterr().out)
    assert shirg(command, "one.png") == 0
    assert "page" not in capsys.readouterr().out


def test_compare_takes_several_pages(scans, capsys):
    argv = ("compare", "scans/a.pdf", "--pages", "1,2-3")
    assert shirg(*argv, "--json", "rows.jsonl", "--quiet") == 0
    assert capsys.readouterr() == ("", "")
    found = rows((scans / "rows.jsonl").read_text())
    assert [(row["page"], len(row["methods"])) for row in found] == [(1, 2), (2, 2), (3, 2)]


def test_quiet_writes_and_says_nothing(scans, capsys):
    assert shirg("select", "one.png", "-q", "-o", "kept.png") == 0
    assert capsys.readouterr() == ("", "")
    assert (scans / "kept.png").exists()


def test_a_broken_image_costs_a_line_and_the_exit_code(scans, capsys):
    (scans / "scans" / "aa.png").write_bytes(b"no image")
    assert shirg("select", "scans", "--json", "rows.jsonl") == 2
    lines = capsys.readouterr().err.splitlines()
    assert "scans/aa.png: not a PNG" in lines[0]
    assert lines[1:] == ["shirg: error: 1 of 3 failed, see above"]
    assert [row["image"] for row in rows((scans / "rows.jsonl").read_text())] == ["scans/a.pdf", "scans/b.tif"]


@pytest.mark.usefixtures("scans")
def test_a_refusal_names_its_image(capsys):
    assert main(["select", "scans", "--method", "uniform", "--budget", "2305"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert [line[: line.index(" budget")] for line in lines[:2]] == [
        "shirg: error: scans/a.pdf:",
        "shirg: error: scans/b.tif:",
    ]


def test_pictures_never_take_the_place_of_the_images(scans, capsys):
    before = (scans / "one.png").read_bytes()
    assert shirg("select", "one.png", "scans", "-o", ".") == 2
    assert "cannot write one.png: it is one of the images" in capsys.readouterr().err
    assert (scans / "one.png").read_bytes() == before


def test_every_page_of_standard_input(scans, capsys, monkeypatch):
    content = (scans / "scans" / "a.pdf").read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert shirg("select", "-", "--pages", "all", "--json", "-", "-q") == 0
    assert [(row["image"], row["page"]) for row in rows(capsys.readouterr().out)] == [("-", 1), ("-", 2), ("-", 3)]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("empty",), "empty: no image in this folder"),
        (("-", "-"), "standard input, which holds one file: name it once"),
        (("one.png", "two.png"), "two.png: no such file"),
        (("one.png", "--pages", "1,x"), "--pages must be a page from 1, several such as 1-3,5, or all, got '1,x'"),
        (("one.png", "--pages", "2"), "one.png: has 1 page, got page 2"),
        (("one.png", "--pages", "3-2"), "got '3-2'"),
        (("scans", "-o", "kept.png"), "kept.png: pictures of several images go into a folder"),
        (("scans", "--json", "scans/a.pdf"), "scans/a.pdf: it is the input"),
    ],
)
def test_what_cannot_be_done_is_one_line(scans, capsys, argv, message):
    (scans / "empty").mkdir()
    assert shirg("select", *argv) == 2
    line = capsys.readouterr().err
    assert message in line
    assert line.count("\n") == 1
