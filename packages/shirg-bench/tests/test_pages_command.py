"""`shirg pages` on a folder of its own, with a tiny tower and a reader that reads nothing but black bars."""

import json

import numpy as np
import pytest
import torch

from shirg_bench.pages import command, measure
from shirg_bench.pages.features import PageFeatures
from shirg_bench.pages.geometry import padded_view
from shirg_bench.pages.options import PagesOptions
from shirg_bench.pages.tower import PageTokens
from shirg_bench.pages.variants import default_variants, parse_variant
from shirg_core.cli.errors import BadInput, RunFailed
from shirg_core.methods import METHODS

from .documented import check_documented
from .pages_setup import sroie_folder, tiny_page, tiny_tower

KEY = {"total": "9.00"}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "load_tower", tiny_tower)
    return sroie_folder(tmp_path / "mine", key=KEY)


def options(folder, tmp_path, **given):
    defaults = {
        "folder": folder,
        "pages": None,
        "methods": "v2,v3+received,top-edge,random",
        "budgets": "1/3,1/12",
        "views": "single",
        "reader": False,
        "read": None,
        "read_budgets": "1/3",
        "read_pages": None,
        "featured": None,
        "seed": 0,
        "cache": tmp_path / "cache",
        "output": tmp_path / "out",
    }
    return PagesOptions(**{**defaults, **given})


def rows(tmp_path):
    return [json.loads(line) for line in (tmp_path / "out" / "pages.jsonl").read_text().splitlines()]


def test_rows_say_what_was_kept_and_a_second_run_computes_nothing(folder, tmp_path, monkeypatch):
    text = command.run_pages(options(folder, tmp_path))
    first = rows(tmp_path)
    assert [(row["method"], row["budget"]) for row in first][:2] == [("v2", 1 / 3), ("v2", 1 / 12)]
    check_documented(first[0])
    edge = next(row for row in first if row["method"] == "top-edge")
    assert (edge["count"], edge["value_pages"], edge["skipped"], edge["attention"]) == (1, 1, 0, None)
    # The page is a black bar on white: its border is all that edges see.
    assert edge["kept_tokens"] == round(edge["kept_tokens"])
    assert 0 <= edge["print_kept_low"] <= edge["print_kept"] <= edge["print_kept_high"] <= 1
    assert "top-edge" in text
    assert (tmp_path / "out" / "pages_mine.png").is_file()
    monkeypatch.setattr(command, "load_tower", lambda: pytest.fail("computed again"))
    monkeypatch.setattr(measure.Variant, "choose", lambda *_: pytest.fail("chosen again"))
    command.run_pages(options(folder, tmp_path))
    assert rows(tmp_path) == first


def test_the_reader_reads_what_is_named_once(folder, tmp_path, monkeypatch):
    pictures = []

    def read(page):
        pictures.append(np.asarray(page))
        return [("9.00", (80 / 140, 41 / 200, 120 / 140, 53 / 200))]

    monkeypatch.setattr(command, "load_reader", lambda: read)
    asked = options(folder, tmp_path, reader=True, read="full page,averaged page,known lines,top-edge")
    command.run_pages(asked)
    found = {(row["method"], row["budget"]): row["words_read"] for row in rows(tmp_path)}
    # Once each: the edges of a black bar are kept, and what lies between them is the same when it is averaged. Lines
    # are known to stand elsewhere.
    assert len(pictures) == 3
    assert found["known lines", 1 / 3] is not None
    assert found["full page", None] == found["top-edge", 1 / 3] == pytest.approx(1 / 9, abs=1e-4)
    assert found["v2", 1 / 3] is None
    command.run_pages(asked)
    assert len(pictures) == 3


def test_a_page_that_cannot_be_had_is_counted(folder, tmp_path, capsys):
    (folder / "img" / "001.jpg").write_bytes(b"no image")
    (folder / "box" / "001.csv").write_text("0,0,9,0,9,9,0,9,word\n")
    command.run_pages(options(folder, tmp_path))
    assert {(row["count"], row["skipped"]) for row in rows(tmp_path)} == {(1, 1)}
    assert "skipped  " in capsys.readouterr().err
    (folder / "img" / "000.jpg").write_bytes(b"no image")
    with pytest.raises(RunFailed, match="none of the 2 pages"):
        command.run_pages(options(folder, tmp_path))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"views": "double"}, "--views must be one of single, anyres"),
        ({"reader": True, "views": "anyres"}, "--reader reads pages of a single view"),
        ({"read": "v2"}, "--read and --read-pages need --reader"),
        ({"reader": True, "read": "v9"}, "--read must name some of v2"),
        ({"reader": True, "read_budgets": "1/2"}, "--read-budgets must name some of"),
        ({"featured": "v9"}, "--featured must name some of v2"),
        ({"pages": "3"}, "--pages must be FIRST-LAST"),
        ({"pages": "0-4"}, "--pages 0-4: there are 1 pages, 0-0"),
        ({"budgets": "2.5"}, "--budget"),
        ({"methods": "v9"}, "unknown method 'v9'"),
        ({"methods": "tome"}, "averages tokens"),
        ({"methods": "cdpruner"}, "needs text"),
        ({"methods": "full"}, "keeps no given number"),
        ({"methods": "fastv"}, "runs only in"),
        ({"methods": "v3+sideways"}, "must be one of received, cls, canny, got 'sideways'"),
        ({"methods": "v3+cls+received"}, "must have one attention, got cls and received"),
        ({"methods": "v3:coverage"}, "FIELD=VALUE"),
        ({"methods": "v3:taste=1"}, "taste"),
    ],
)
def test_bad_options_are_one_line(folder, tmp_path, given, message):
    with pytest.raises(BadInput, match=message):
        options(folder, tmp_path, **given)


def test_every_method_that_fits_is_compared_unasked():
    names = [variant.name for variant in default_variants()]
    exact = [n for n, m in METHODS.items() if m.selector and m.takes_budget and not m.merges and not m.only]
    left_out = {n for n in exact if "text" in METHODS[n].needs and "text_weight" not in METHODS[n].fields}
    assert set(exact) - left_out <= set(names)
    assert left_out == {"top-relevance", "cdpruner"}


def test_options_and_attention_are_part_of_the_name():
    variant = parse_variant("v2:coverage_share=0.1:coverage=cells+canny+cls")
    assert (dict(variant.options), variant.attention) == ({"coverage_share": 0.1, "coverage": "cells"}, "cls")
    assert variant.canny
    assert not parse_variant("v4+cls").canny


def test_canny_is_given_where_it_is_asked_for():
    views = padded_view(tiny_page().image)
    nothing = torch.zeros(views.layout.n_tokens)
    page = PageFeatures(views.layout, PageTokens(nothing[:, None], nothing, nothing), views)
    on_an_edge = page.canny_edges[0] > 0
    k = int(on_an_edge.sum())
    assert torch.equal(parse_variant("top-edge+canny").choose(page, k, 0), on_an_edge)
    # The Laplacian also answers next to an edge, and Canny only on it.
    assert 0 < k < int((page.edges > 0).sum())
