"""The tasks' tables are what their specs say, their pages show what the tables say, and no page is anyone else's."""

from collections import Counter
from dataclasses import asdict, replace
from itertools import islice, pairwise

import numpy as np
import pyarrow.parquet as pq
import pytest

from shirg_bench.tasks import build, pages
from shirg_bench.tasks.draw import draw
from shirg_bench.tasks.needle import draw_needle
from shirg_bench.tasks.paper import Text, block_left, write
from shirg_bench.tasks.receipt import draw_receipt
from shirg_bench.tasks.spec import HD, MICRO, SEEDS_PER_TASK, TASKS
from shirg_train.testbed.micro.samples import listed_samples
from shirg_train.testbed.pages.config import TIERS, split_seed
from shirg_train.testbed.pages.generator import RowGenerator

COMPARED = 48
"""Rows per task drawn again; of 672 px pages fewer."""


def shipped(task):
    return pq.read_table(build.SHIPPED / f"{task}.parquet").to_pylist()


@pytest.mark.parametrize("task", TASKS)
def test_shipped_rows_are_what_the_generator_makes(task):
    n = COMPARED if TASKS[task].scale is MICRO else 16
    again = [asdict(row) for row in islice(build.endless_rows(task), n)]
    for old, new in zip(shipped(task)[:n], again, strict=True):
        assert new.pop("mean_grey") == pytest.approx(old.pop("mean_grey"), abs=pages.GREY_TOLERANCE)
        assert new == old


def test_build_writes_whole_tables(tmp_path, monkeypatch):
    task = "shirg_needle_hd"
    monkeypatch.setattr(build, "TASKS", {task: TASKS[task]})
    (path,) = build.build(tmp_path)
    again = pq.read_table(path).to_pylist()
    assert [row["seed"] for row in again] == [row["seed"] for row in shipped(task)]
    assert [file.name for file in tmp_path.iterdir()] == [f"{task}.parquet"]


@pytest.mark.parametrize("task", TASKS)
def test_tables_are_balanced_and_large_enough(task):
    spec, rows = TASKS[task], shipped(task)
    assert len(rows) == spec.scale.questions >= (256 if spec.scale is MICRO else 64)
    for column in ("tier", "kind", "print_size"):
        counts = Counter(row[column] for row in rows)
        assert max(counts.values()) - min(counts.values()) <= len(spec.scale.prints) * 2
    assert {row["kind"] for row in rows} == set(spec.kinds)
    assert {row["print_size"] for row in rows} == set(spec.scale.prints)
    assert {row["tier"] for row in rows[: len(spec.cells())]} == {"easy", "hard"}
    assert all(row["face"] in spec.scale.prints[row["print_size"]] for row in rows)


def test_no_page_is_shared_with_training_validation_accuracy_tables_or_another_task():
    seeds = [row["seed"] for task in TASKS for row in shipped(task)]
    assert len(set(seeds)) == len(seeds)
    assert min(seeds) >= split_seed("test", SEEDS_PER_TASK)
    assert max(seeds) < split_seed("test", (1 + len(TASKS)) * SEEDS_PER_TASK)
    assert max(split_seed("train", 2**40 - 1), split_seed("valid", 2**40 - 1)) < min(seeds)
    assert not {sample["seed"] for sample in listed_samples()} & set(seeds)
    firsts = [spec.first for spec in TASKS.values()]
    assert all(b - a == SEEDS_PER_TASK for a, b in pairwise(firsts))
    with pytest.raises(ValueError, match="0 … 999999, got 1000000"):
        TASKS["shirg_docs"].seed(SEEDS_PER_TASK)


@pytest.mark.parametrize("task", TASKS)
def test_pages_have_their_size_and_colours(task):
    row = shipped(task)[0]
    page = pages.page_of(row)
    assert page.size == (TASKS[task].scale.size,) * 2
    assert page.mode == ("L" if TASKS[task].scale is MICRO else "RGB")


@pytest.mark.parametrize(
    ("column", "value"), [("answer", "999"), ("question", "What is the moon?"), ("mean_grey", 0.0), ("face", "mono-8")]
)
def test_a_page_that_is_not_its_rows_is_refused(column, value):
    row = shipped("shirg_docs")[0] | {column: value}
    with pytest.raises(ValueError, match=rf"is not the one its table was made of.*{column}"):
        pages.page_of(row)


def test_a_page_with_one_glyph_changed_is_noticed(monkeypatch):
    row = shipped("shirg_needle")[3]
    page = draw(TASKS["shirg_needle"], row["tier"], row["print_size"], row["kind"], row["seed"])
    image = page.image.copy()
    write(image, [Text(50, 50, "7")], "tiny", 0)
    monkeypatch.setattr(pages, "draw", lambda *_: replace(page, image=image))
    with pytest.raises(ValueError, match="mean_grey"):
        pages.page_of(row)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(("scale", "face"), [(MICRO, "tiny"), (HD, "roboto-24")], ids=["112-tiny", "672-roboto-24"])
def test_receipts_and_needles_of_both_tiers_fit_their_page(scale, face, seed):
    for tier in TIERS.values():
        for draw_one in (draw_receipt, draw_needle):
            page, label, value = draw_one(RowGenerator([seed]), scale.size, tier, face)
            assert page.shape == (scale.size, scale.size)
            assert label.islower()
            assert 1 <= len(value) <= 5
            assert float(value) > 0


def test_a_receipts_total_is_the_sum_of_its_items(monkeypatch):
    printed = []
    monkeypatch.setattr("shirg_bench.tasks.receipt.write", lambda _page, texts, *_: printed.extend(texts))
    draw_receipt(RowGenerator([4]), 112, TIERS["easy"], "tiny")
    labels, prices = [text.text for text in printed[1::2]], [float(text.text) for text in printed[2::2]]
    assert labels[-2:] == ["TOTAL", "CASH"]
    assert sum(prices[:-2]) == pytest.approx(prices[-2])
    assert prices[-1] > prices[-2]
    assert len({text.x for text in printed[1::2]}) == 1


def test_needles_lie_at_every_height_and_start_where_blocks_start(monkeypatch):
    places = []
    monkeypatch.setattr(
        "shirg_bench.tasks.needle.write", lambda _page, texts, *_: places.append((texts[0].x, texts[0].y))
    )
    for seed in range(200):
        draw_needle(RowGenerator([seed]), 112, TIERS["hard"], "tiny")
    x, y = np.array(places).T
    assert np.histogram(y, 4, (0, 112))[0].min() > 30
    assert set(x) - set(range(53, 66)) == {3}
    assert (x != 3).sum() > 20


def test_a_block_left_leaves_room():
    boxes = [(0, 0, 60, 112), (60, 0, 112, 112)]
    assert {block_left(RowGenerator([seed]), boxes, 112, 52) for seed in range(20)} == {0, 60}
    assert {block_left(RowGenerator([seed]), boxes, 112, 53) for seed in range(20)} == {0}
    with pytest.raises(ValueError, match="113 px do not fit a page of 112 px"):
        block_left(RowGenerator([0]), boxes, 112, 113)


def test_writing_prints_text_where_it_says():
    page = np.full((40, 40), 255, np.uint8)
    write(page, [Text(3, 4, "7"), Text(20, 4, "1.5")], "tiny", 30)
    assert [page[4, 3:6].tolist(), page[5, 3:6].tolist()] == [[30, 30, 30], [255, 255, 30]]
    assert (page[:, 7:20] == 255).all()
    assert (page[4:9, 20:] == 30).any()
    with pytest.raises(ValueError, match="outside its page"):
        write(page, [Text(38, 4, "77")], "tiny", 30)


def test_doc_functions_give_a_colour_image_and_the_question_in_its_wording():
    doc = shipped("shirg_docs")[0]
    (image,) = pages.image(doc)
    assert image.mode == "RGB"
    assert image.tobytes() == pages.page_of(doc).convert("RGB").tobytes()
    assert pages.image(doc)[0] is image
    assert (
        pages.question({"question": "What is the tax?"}, {"pre_prompt": "", "post_prompt": "\nBe brief."})
        == "What is the tax?\nBe brief."
    )
