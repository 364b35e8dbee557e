"""The explorer's page: what it holds, what it says without JavaScript, and how the command fails."""

import base64
import os
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from shirg_bench.explore import html
from shirg_bench.explore.command import first_shown
from shirg_bench.explore.explored import MethodRuns
from shirg_bench.explore.reading import Reading
from shirg_core.cli.app import main
from shirg_core.layout import ViewLayout
from shirg_core.methods import get_method

from .documented import check_documented
from .explore_setup import draw_page, selected, write_explorer

METHODS, BUDGETS = "v3,v2,pooling", "1/6,1/3,100%"
QUESTION = "What is the value of bolts?"


class Tags(HTMLParser):
    """Tags that are closed in order, and what they point to."""

    def __init__(self):
        super().__init__()
        self.open, self.links = [], []

    def handle_starttag(self, tag, attrs):
        self.links += [value for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "input"):
            self.open.append(tag)

    def handle_startendtag(self, _tag, attrs):
        self.links += [value for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def explored(image):
    """A page without a model: its text, its data."""
    return write_explorer(image.parent, image, "--methods", METHODS, "--budgets", BUDGETS)


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """A page about the first sample, with answers."""
    folder = tmp_path_factory.mktemp("asked")
    assert main(["samples", str(folder / "samples")]) == 0
    sample = folder / "samples" / "page0_plain.png"
    budgets = ("--budgets", "1/24,100%", "--methods", "v4,v2,pooling,full,rerank")
    return write_explorer(folder, sample, "--question", QUESTION, "--answer", "882", *budgets)


def tokens(text, n):
    return np.flatnonzero(np.unpackbits(np.frombuffer(base64.b64decode(text), np.uint8), count=n)).tolist()


def test_the_page_is_whole_and_points_to_nothing_outside(explored):
    text, _ = explored
    tags = Tags()
    tags.feed(text)
    assert tags.open == []
    assert len(tags.links) == 1
    assert tags.links[0].startswith("data:image/")
    assert set(re.findall(r"https?://[^\s\"']+", text)) == {"http://www.w3.org/2000/svg"}
    assert "default-src 'none'" in text
    assert "$" not in re.sub(r"\$\{", "", text.split("<script>")[0])


@pytest.mark.parametrize(("place", "method"), [(0, "v3"), (1, "v2")])
def test_every_budget_keeps_what_select_keeps(explored, image, place, method):
    page = explored[1]["images"][0]
    runs = page["methods"][place]["runs"]
    assert page["methods"][place]["name"] == method
    for budget, run in zip(BUDGETS.split(","), runs, strict=True):
        kept = selected(image.parent, image, method, budget)
        assert tokens(run["kept"], 2304) == kept
        assert run["k"] == len(kept)
    assert explored[1]["budgets"][explored[1]["start"]] == "1/3"


def test_a_patch_has_terms_rank_and_region(explored):
    page = explored[1]["images"][0]
    method, arrays = page["methods"][0], page["arrays"]
    run = method["runs"][1]
    scores = np.array(arrays[run["scores"]])
    added = sum(term["weight"] * np.array(arrays[term["values"]]) / 1000 for term in method["terms"])
    assert [term["name"] for term in method["terms"]] == ["attention", "magnitude", "gradient"]
    np.testing.assert_allclose(added, scores, atol=1.5e-3)
    ranks = np.array(arrays[run["ranks"]])
    assert sorted(ranks) == list(range(1, 2305))
    assert scores[np.argsort(ranks)].tolist() == sorted(scores, reverse=True)
    # Cells of 4 × 4, 3 × 3 and 2 × 2 patches: at most half as many as kept tokens.
    assert [max(arrays[each["regions"]]) + 1 for each in method["runs"]] == [144, 256, 576]


def test_the_data_are_as_documented(explored, asked):
    check_documented(explored[1])
    check_documented(asked[1])


def test_what_takes_no_budget_has_one_run(explored):
    pooling = explored[1]["images"][0]["methods"][2]
    (run,) = pooling["runs"]
    assert (run["k"], run["ink"], pooling["merges"]) == (576, None, True)


def test_the_picture_without_scripts_dims_what_is_dropped(explored):
    text, data = explored
    path = re.search(r'<path class="dropped" d="([^"]+)"', text[: text.index("<template")])[1]
    rectangles = re.findall(r"M[-\d.]+ [-\d.]+h([\d.]+)v([\d.]+)h-[\d.]+z", path)
    area = sum(float(width) * float(height) for width, height in rectangles)
    dropped = 2304 - data["images"][0]["methods"][0]["runs"][1]["k"]
    assert area == pytest.approx(dropped / 2304 * 300 * 400, rel=0.02)
    assert "page.png: v3 keeps 768 of 2304 tokens (clear)" in text


def test_answers_steps_and_confidence_at_each_budget(asked):
    (page,) = asked[1]["images"]
    v4, v2, pooling, full, rerank = page["methods"]
    assert [run["k"] for run in rerank["runs"]] == [run["k"] for run in v4["runs"]] == [8, 196]
    assert (page["model"], page["question"], page["expected"]) == ("micro-joint", QUESTION, "882")
    assert [run["reply"]["right"] for run in v4["runs"]] == [run["reply"]["text"] == "882" for run in v4["runs"]]
    assert full["runs"][0]["reply"]["text"] == "882"
    assert "Asked “What is the value of bolts?”" in asked[0]
    steps = v4["runs"][1]["reply"]["steps"]
    assert "▒" in steps[0]
    assert steps[-1] == v4["runs"][1]["reply"]["text"]
    assert "relevance" in [term["name"] for term in v2["terms"]]
    assert len(full["runs"]) == len(pooling["runs"]) == 1
    assert (full["runs"][0]["k"], full["runs"][0]["scores"], full["runs"][0]["ink"]) == (196, None, 1.0)


def test_several_views_and_images(image, tmp_path):
    more = tmp_path / "more"
    more.mkdir()
    draw_page(more / "wide.png", (800, 300))
    argv = (more, image, "--methods", "uniform", "--budgets", "0.1", "--views", "anyres")
    data = write_explorer(tmp_path, *argv)[1]
    first, second = data["images"]
    assert (first["name"], second["name"]) == ("wide.png", "page.png")
    views = first["layouts"][0]
    assert len(views) > 2
    flags = [0 if view["valid"] is None else 1 for view in views]
    assert flags[0] == 0
    assert any(flags)


def test_lines_that_are_no_longer_read():
    """A reader that sees a word where the contrast is full."""

    def reader(page):
        half = page.shape[1] // 2
        parts = {"left": page[:, :half], "right": page[:, half:]}
        boxes = {"left": (0.1, 0.1, 0.4, 0.9), "right": (0.6, 0.1, 0.9, 0.9)}
        return [(word, boxes[word]) for word, part in parts.items() if part.std() > 100]

    stripes = np.zeros((112, 112, 3), np.uint8)
    stripes[::2] = 255
    layout = ViewLayout.single(8, 8)
    reading = Reading(Image.fromarray(stripes), reader)
    lines = reading.lines(layout)
    assert [line.text for line in lines] == ["left", "right"]
    kept = np.tile(np.arange(8) < 4, 8)
    assert reading.still_read(lines, layout, kept) == [True, False]
    assert reading.still_read(lines, layout, np.ones(64, bool)) == [True, True]


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (["--methods", "v9"], "unknown method 'v9'"),
        (["--budgets", "1/3,2/0"], "--budget must be a count ≥ 1 or a fraction"),
        (["--budgets", "1/3,1/3"], "--budgets takes different names separated by commas, got '1/3,1/3'"),
        (["--budgets", "9999", "--methods", "v4"], "budget K=9999 is larger than the 2304 selectable tokens"),
        (["--answer", "5"], "--answer is about a model's answers: give --question, too"),
        (["--question", "a", "--question", "b"], "--question is given once, got 2"),
        (["--views", "tiles"], "--views must be one of"),
        (["--views", "anyres", "--reader", "--methods", "v4"], "--reader reads pages of a single view"),
        (["--methods", "cdpruner"], "text relevance needs a model"),
        (["-o", "nowhere/e.html"], "cannot write nowhere/e.html: there is no folder nowhere"),
        (["--question", "a", "--model", "nope"], "nope"),
    ],
)
def test_bad_input_is_one_line(argv, line, image, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("shirg_bench.explore.command.load_reader", lambda: lambda _: [])
    assert main(["explore", str(image), *argv, "--quiet"]) == 2
    stderr = capsys.readouterr().err
    assert line in stderr
    assert stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_page_that_is_too_large_is_refused_after_the_images_were_made_smaller(image, monkeypatch, capsys):
    tried = []
    monkeypatch.setattr(html, "MOST_BYTES", 1000)
    shrink = html.data_uri
    monkeypatch.setattr(html, "data_uri", lambda page, side: tried.append(side) or shrink(page, side))
    assert main(["explore", str(image), "--methods", "uniform", "--budgets", "9", "--quiet", "-o", "-"]) == 2
    assert "give fewer images, --methods or --budgets" in capsys.readouterr().err
    assert tried[0] == 1600
    assert tried[-1] == 400


def test_the_page_on_standard_output(image, capsys, tmp_path):
    named = tmp_path / os.fsdecode(b"not utf-8 \xff.png")
    named.write_bytes(image.read_bytes())
    assert main(["explore", str(named), "--methods", "uniform", "--budgets", "9", "--quiet", "-o", "-"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("<!doctype html>")
    assert out.endswith("</html>\n")
    assert "<title>not utf-8 \N{REPLACEMENT CHARACTER}.png" in out


def test_the_budget_shown_first_is_of_methods_that_take_one():
    pooled, every = (
        MethodRuns(get_method(name), ViewLayout.single(side, side), []) for name, side in (("pooling", 2), ("v4", 4))
    )
    assert first_shown([pooled, every], {"16": 16, "4": 4, "8": 8}) == 1
    assert first_shown([pooled], {"16": 16}) == 0
