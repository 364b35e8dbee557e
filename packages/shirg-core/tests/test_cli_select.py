import io
import json
import os
import shutil
import sys

import numpy as np
import pytest
from PIL import Image, ImageDraw

from shirg_core.baselines import Deduplication
from shirg_core.cli import material
from shirg_core.cli.app import main
from shirg_core.images import load_image
from shirg_core.images.views import anyres_views, single_view
from shirg_core.scores.edges import patch_pixels


@pytest.fixture(autouse=True)
def small_views(monkeypatch):
    """The same views with fewer tokens: 8×8, and 5×5 per crop."""
    monkeypatch.setitem(material.VIEWS, "single", lambda image: single_view(image, side=8))
    monkeypatch.setitem(material.VIEWS, "anyres", lambda image: anyres_views(image, side=5))


@pytest.fixture
def page(tmp_path):
    image = Image.new("RGB", (160, 200), "white")
    ImageDraw.Draw(image).text((20, 20), "Total 42\nand more", fill="black", font_size=24)
    image.save(tmp_path / "page.png")
    return tmp_path / "page.png"


def shirg(*argv):
    return main([str(part) for part in argv])


def picture_width(path):
    with Image.open(path) as image:
        return image.width


def refused(capsys, *argv):
    """The one line that a bad call prints."""
    assert shirg(*argv) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("shirg: error: ")
    assert output.err.count("\n") == 1
    return output.err


def test_json_and_picture(page, tmp_path, capsys):
    assert shirg("select", page, "--budget", 20, "-o", tmp_path / "kept.png", "--json", tmp_path / "out.json") == 0
    report = json.loads((tmp_path / "out.json").read_text())
    assert report["method"] == "v4"
    assert report["budget"] == 20
    assert report["n_tokens"] == 64
    assert report["layout"] == [[8, 8]]
    assert len(report["indices"]) == len(set(report["indices"])) == 20
    assert report["indices"] == sorted(report["indices"])
    assert report["n_regions"] == report["coverage"]["regions_covered"] <= 10
    assert report["coverage"]["kept_per_region_min"] >= 1
    assert 0.5 < report["ink_recall"] <= 1
    assert list(report["timings_ms"]) == ["load", "features", "select", "draw"]
    assert picture_width(tmp_path / "kept.png") > 1000
    text = capsys.readouterr().out
    assert "20 of 64 tokens" in text
    assert "ink recall" in text


def test_anyres_counts_per_view(page, tmp_path):
    assert shirg("select", page, "--views", "anyres", "--json", tmp_path / "o.json", "-o", tmp_path / "o.webp") == 0
    report = json.loads((tmp_path / "o.json").read_text())
    assert report["layout"] == [[5, 5]] * len(report["layout"])
    assert len(report["layout"]) > 2
    assert report["budget"] == round(0.3333 * report["n_selectable"])
    assert sum(view["kept"] for view in report["views"]) == report["budget"]
    assert sum(view["selectable"] for view in report["views"]) == report["n_selectable"] < report["n_tokens"]


def test_selection_prefers_ink(page, tmp_path):
    recall = {}
    for method in ("v4", "v3", "v2", "uniform"):
        extra = ["--text-weight", 0] if method == "v2" else []
        assert shirg("select", page, "--method", method, *extra, "--budget", 16, "--json", tmp_path / "o.json") == 0
        recall[method] = json.loads((tmp_path / "o.json").read_text())["ink_recall"]
    assert min(recall[name] for name in ("v4", "v3", "v2")) > 2 * recall["uniform"]


@pytest.mark.parametrize("metric", ["max", "mean"])
def test_deduplication_compares_pixels(page, tmp_path, metric):
    method, out = f"dedup-{metric}", tmp_path / "o.json"
    assert shirg("select", page, "--method", method, "--budget", 16, "--json", out) == 0
    cut = single_view(load_image(page, 1), side=8)
    chosen = Deduplication(16, metric=metric)(patch_pixels(cut.pixels[0], cut.patch), cut.layout)
    assert json.loads(out.read_text())["indices"] == chosen.indices[0].tolist()
    assert shirg("compare", page, "--budget", 16, "--methods", method, "-o", tmp_path / "c.png", "--json", out) == 0
    assert json.loads(out.read_text())["methods"][0]["ink_recall"] > 0


def test_method_with_its_own_count_says_so(page, tmp_path, capsys):
    assert shirg("select", page, "--method", "pooling", "--budget", 20, "--json", tmp_path / "o.json") == 0
    report = json.loads((tmp_path / "o.json").read_text())
    assert (report["budget"], report["n_kept"], report["exact_count"]) == (20, 16, False)
    assert "pooling decides the count itself" in capsys.readouterr().out


def test_page_of_a_pdf(tmp_path):
    sheets = [Image.new("RGB", (40, 40), "white"), Image.new("RGB", (40, 60), "white")]
    sheets[0].save(tmp_path / "p.pdf", save_all=True, append_images=sheets[1:])
    assert shirg("select", tmp_path / "p.pdf", "--page", 2, "--json", tmp_path / "o.json") == 0
    assert json.loads((tmp_path / "o.json").read_text())["page"] == 2


def test_blank_one_pixel_image_works(tmp_path):
    Image.new("L", (1, 1), 200).save(tmp_path / "dot.png")
    assert (
        shirg("select", tmp_path / "dot.png", "--budget", 5, "-o", tmp_path / "o.png", "--json", tmp_path / "o.json")
        == 0
    )
    assert json.loads((tmp_path / "o.json").read_text())["ink_recall"] == 1


def test_compare(page, tmp_path, capsys):
    out, summary = tmp_path / "cmp.png", tmp_path / "cmp.json"
    methods = "v3, v2,uniform,random"
    assert shirg("compare", page, "--budget", 20, "--methods", methods, "--seed", 3, "-o", out, "--json", summary) == 0
    report = json.loads(summary.read_text())
    assert [entry["method"] for entry in report["methods"]] == ["v3", "v2", "uniform", "random"]
    assert all(entry["n_kept"] == 20 and entry["select_ms"] > 0 for entry in report["methods"])
    assert picture_width(out) > 1000
    assert capsys.readouterr().out.count("20") >= 4


def test_file_names_of_any_bytes_are_drawn(page, tmp_path, capfd):
    for name in ("文書 $x_1$.png", os.fsdecode(b"bad\xff.png")):
        shutil.copy(page, tmp_path / name)
        out = tmp_path / "drawn.png"
        assert shirg("compare", tmp_path / name, "--methods", "uniform", "--budget", 20, "-o", out) == 0
        assert picture_width(out) > 900
    assert capfd.readouterr().err == ""


def test_compare_names_the_method_that_fails(page, capsys):
    assert "v3: " in refused(capsys, "compare", page, "--budget", 65, "--methods", "v3")
    assert "unknown method 'x'" in refused(capsys, "compare", page, "--methods", "v3,x")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--method", "v44"], ["'v44'", "v4"]),
        (["--method", "v2"], ["needs a model", "--text-weight 0"]),
        (["--budget", "0"], ["'0'"]),
        (["--budget", "65"], ["65", "64"]),
        (["--views", "double"], ["'double'", "anyres"]),
        (["--page", "2"], ["has 1 page, got page 2"]),
        (["--page", "0"], ["0"]),
        (["--coverage", "stars"], ["stars"]),
        (["-o", "kept.bmpx"], [".png"]),
        (["-o", "no/such/folder/kept.png"], ["no folder"]),
        (["--json", "."], ["is a folder"]),
        (["--json", "same.png", "-o", "same.png"], ["twice"]),
        (["-o", "page.png"], ["is the input"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_bad_calls(page, monkeypatch, capsys, options, words):
    monkeypatch.chdir(page.parent)
    before = page.read_bytes()
    line = refused(capsys, "select", "page.png", *options)
    for word in words:
        assert word in line
    assert [path.name for path in page.parent.iterdir()] == ["page.png"]
    assert page.read_bytes() == before


def test_bad_images(tmp_path, capsys):
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.png").write_text("no picture")
    nan = np.full((4, 4), np.nan, dtype=np.float32)
    Image.fromarray(nan).save(tmp_path / "nan.tiff")
    for name, word in (("none.png", "no such"), ("empty.png", "empty"), ("text.png", "not a"), ("nan.tiff", "NaN")):
        line = refused(capsys, "select", tmp_path / name, "-o", tmp_path / "kept.png")
        assert word in line
        assert name in line
    assert not (tmp_path / "kept.png").exists()


def test_failing_write_leaves_nothing(page, tmp_path, monkeypatch, capsys):
    def full(path, text, **_options):
        path.write_bytes(text[:10].encode())
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_text", full)
    assert "No space left" in refused(capsys, "select", page, "--json", tmp_path / "o.json")
    assert [path.name for path in tmp_path.iterdir()] == ["page.png"]


def test_output_over_a_special_file_is_refused(page, tmp_path, capsys):
    os.mkfifo(tmp_path / "pipe")
    assert "not a regular file" in refused(capsys, "select", page, "--json", tmp_path / "pipe")
    assert (tmp_path / "pipe").is_fifo()


def test_output_names_that_cannot_be(page, tmp_path, capsys):
    (tmp_path / "loop").symlink_to("loop")
    for name in ("x" * 300, "loop"):
        assert "cannot write" in refused(capsys, "select", page, "--json", tmp_path / name)


def test_budget_beyond_the_layout_is_refused_by_methods_that_take_none(page, tmp_path, capsys):
    picture = tmp_path / "o.png"
    assert "K=2305" in refused(capsys, "select", page, "--method", "pooling", "--budget", "2305", "-o", picture)
    assert "K=2305" in refused(capsys, "compare", page, "--methods", "pooling", "--budget", "2305", "-o", picture)
    assert not picture.exists()


@pytest.mark.parametrize("command", ["select", "compare"])
def test_standard_input_and_output(page, tmp_path, capsys, monkeypatch, command):
    options = ("--budget", 20, *(("--methods", "v3,uniform") if command == "compare" else ()))
    assert shirg(command, page, *options, "--json", tmp_path / "o.json") == 0
    capsys.readouterr()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(page.read_bytes())))
    assert shirg(command, "-", *options, "--json", "-") == 0
    output = capsys.readouterr()
    piped, filed = json.loads(output.out), json.loads((tmp_path / "o.json").read_text())
    assert piped["image"] == "-"
    for report in (piped, filed):
        for key in ("image", "timings_ms"):
            del report[key]
        for method in report.get("methods", ()):
            del method["select_ms"]
    assert piped == filed
    assert "ink recall" in output.err
    assert not (tmp_path / "-").exists()


@pytest.mark.parametrize(("content", "words"), [(b"", "is empty"), (b"text", "not a PNG"), (None, "terminal")])
def test_a_standard_input_without_an_image(capsys, monkeypatch, content, words):
    stdin = io.TextIOWrapper(io.BytesIO(content or b""))
    if content is None:
        monkeypatch.setattr(stdin, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", stdin)
    line = refused(capsys, "select", "-")
    assert "standard input" in line
    assert words in line
    assert "/" not in line
