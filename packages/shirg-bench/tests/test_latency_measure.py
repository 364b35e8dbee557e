"""The table: real token counts, cache and no cache, ratios, and no time without parity."""

import json
from dataclasses import dataclass, replace

import pytest
import torch

from shirg_bench.latency import checks, selections
from shirg_bench.latency.checks import CheckError, check_parity
from shirg_bench.latency.measure import KV_8B_TOKEN_BYTES, measure
from shirg_bench.latency.plan import Plan
from shirg_bench.latency.random_models import RANDOM
from shirg_bench.latency.stages import embed
from shirg_bench.latency.variant import STANDARD, Variant
from shirg_core import ShirgV3
from shirg_core.layout import ViewLayout
from shirg_core.methods import METHODS
from shirg_lavida.config import LavidaConfig, upstream_config
from shirg_lavida.model import LavidaModel

from .latency_setup import tiny_subject

PLAN = Plan(rounds=2, answer_tokens=4)


def table(subject, names, plan, report=lambda _: None):
    *_, last = measure(subject, [Variant.parse(name) for name in names], plan, report)
    return {(row["variant"], row["cache"]): row for row in last}


def test_visual_tokens_are_the_real_ones_newlines_and_summary_included():
    rows = table(
        tiny_subject(side=27, page_px=900), STANDARD.names(None), Plan(latency=False, memory=False, caches=(True,))
    )
    counts = {name: rows[name, True]["visual_tokens"] for name in STANDARD.names(None)}
    assert counts["pooling"] == 196 + 28 * 29
    assert counts["baseline"] == 27 * 28
    assert counts["full@single"] == 48 * 49
    assert counts["full@anyres_full"] == 729 + 54 * 55
    for budget in (512, 768, 1024):
        # A row that keeps nothing has no newline.
        assert budget + 1 < counts[f"v3-{budget}"] <= budget + 1 + 48
        assert budget + 1 < counts[f"v2-{budget}"] <= budget + 1 + 54
    row = rows["full@anyres_full", True]
    assert row["kv_8b_mib"] == row["prefix_tokens"] / 2
    assert row["prefix_tokens"] > row["visual_tokens"]


def test_one_line_a_variant_with_and_without_cache():
    told = []
    rows = table(tiny_subject(), ["pooling", "v3-9"], PLAN, told.append)
    assert list(rows) == [("pooling", True), ("pooling", False), ("v3-9", True), ("v3-9", False)]
    assert len(told) == PLAN.visits(2) == 8
    on, off = rows["v3-9", True], rows["v3-9", False]
    assert on["steps_timed"] == on["nfe"] == 2
    assert off["steps_timed"] == 1
    # 2 layers, keys and values of 64 channels, float32.
    assert on["kv_bytes"] == on["prefix_tokens"] * 2 * 2 * 64 * 4
    assert (off["kv_bytes"], off["kv_8b_mib"], off["prefill_ms"]) == (0, 0.0, 0.0)
    assert off["end_to_end_ms"] == pytest.approx(off["embed_ms"] + 2 * off["step_ms"])
    assert 0 < on["select_ms"] < on["embed_ms"]
    assert 0 < on["tower_ms"] < on["embed_ms"]
    assert 0 < on["step_ms"] + on["prefill_ms"] < on["end_to_end_ms"]
    assert on["peak_bytes"] > on["kv_bytes"]
    assert on["prefill_peak_bytes"] >= on["kv_bytes"]
    assert off["prefill_peak_bytes"] == 0
    assert 0 < on["select_peak_bytes"] < on["peak_bytes"]
    assert 0 < on["tower_peak_bytes"] <= on["peak_bytes"]
    assert rows["pooling", True]["ratio_to_pooled"] == 1
    assert rows["pooling", True]["select_ms"] == 0
    assert all(row["ratio_to_pooled"] > 0 and row["rounds"] == 2 for row in rows.values())
    json.dumps(list(rows.values()))


def test_what_chooses_later_is_timed_with_a_cache_and_says_what_is_left_in_it():
    subject = tiny_subject()
    lines = [Variant.parse(name) for name in ("full", "redvtp-20", "rerank-20", "two-stage-20")]
    *_, rows = measure(subject, lines, Plan(memory=False, rounds=1, answer_tokens=4))
    late = [row for row in rows if row["method"] != "full"]
    assert [row["cache"] for row in late] == [True] * 3
    assert all(row["rewrite_ms"] > 0 for row in late)
    assert [row["extra_tokens"] for row in late] == [0, 0, 10]
    entry_bytes = 2 * 2 * 64 * 4
    full = rows[0]
    assert late[0]["prefix_tokens"] == full["prefix_tokens"]
    every = embed(subject, lines[0].pipeline(subject.pipe, 0))[0].layouts[0].n_selectable
    assert late[0]["kv_bytes"] == full["kv_bytes"] - (every - 20) * entry_bytes
    assert late[1]["kv_bytes"] == (late[1]["prefix_tokens"] - 20) * entry_bytes
    assert late[2]["kv_bytes"] == (late[2]["prefix_tokens"] + 10) * entry_bytes


def test_the_peak_of_what_chooses_later_has_its_room_and_its_pass():
    plan = Plan(latency=False, answer_tokens=4, caches=(True,))
    rows = table(tiny_subject(), ["v4-20", "two-stage-20"], plan)
    static, late = rows["v4-20", True], rows["two-stage-20", True]
    # The room of 10 tokens in the first layer, while that runs.
    assert late["prefill_peak_bytes"] == static["prefill_peak_bytes"] + 10 * 2 * 64 * 4


def test_what_was_not_asked_for_is_none():
    row = table(tiny_subject(), ["baseline"], Plan(memory=False, caches=(True,), rounds=1, answer_tokens=4))
    assert row["baseline", True]["peak_bytes"] is None
    assert row["baseline", True]["ratio_to_pooled"] is None
    row = table(tiny_subject(), ["baseline"], Plan(latency=False, caches=(False,), answer_tokens=4))["baseline", False]
    assert row["peak_bytes"] > 0
    assert all(row[name] is None for name in row if name.endswith("_ms"))


def test_rounds_come_one_after_another():
    tables = list(measure(tiny_subject(), [Variant.parse("pooling")], Plan(memory=False, rounds=3, answer_tokens=2)))
    assert [rows[0]["rounds"] for rows in tables] == [1, 2, 3]


def test_a_cache_that_changes_the_answer_stops_the_measurement(monkeypatch):
    subject = tiny_subject()
    prefix = torch.randn(1, 9, 64)
    assert check_parity(subject.pipe.model, prefix, 4).error <= 1e-5
    backbone = subject.pipe.model.backbone
    denoise = type(backbone).denoise
    monkeypatch.setattr(type(backbone), "denoise", lambda *given, **named: 1.01 * denoise(*given, **named))
    with pytest.raises(CheckError, match=r"differ by .* of the largest, allowed is 1e-04"):
        check_parity(subject.pipe.model, prefix, 4)


def test_a_step_that_changes_the_cache_stops_the_measurement(monkeypatch):
    subject = tiny_subject()
    backbone = type(subject.pipe.model.backbone)
    denoise = backbone.denoise

    def spoiling(self, x, positions, cache):
        hidden = denoise(self, x, positions, cache)
        cache.layers[0].keys[0, 0, 0, 0] += 1
        return hidden

    monkeypatch.setattr(backbone, "denoise", spoiling)
    with pytest.raises(CheckError, match="changed the prefix cache"):
        check_parity(subject.pipe.model, torch.randn(1, 9, 64), 4)


def test_more_tokens_than_there_are_is_an_error():
    with pytest.raises(ValueError, match="K=99 is larger than the 25"):
        table(tiny_subject(), ["v3-99@single384"], PLAN)


def test_random_8b_has_the_released_models_size():
    shape = RANDOM["random-8b"]
    raw = upstream_config(shape.language, shape.vision, mask_token_id=126_336, eos_token_id=126_081)
    config = LavidaConfig.from_checkpoint(raw, shape.vision)
    with torch.device("meta"):
        model = LavidaModel(config)
    count = {name: sum(p.numel() for p in part.parameters()) for name, part in model.named_children()}
    assert count["backbone"] == 8_015_581_184  # LLaDA-8B's own count
    assert count["tower"] == pytest.approx(0.41e9, rel=0.03)
    layer_kv = 2 * config.language.kv_heads * config.language.head_dim * torch.bfloat16.itemsize
    assert config.language.n_layers * layer_kv == KV_8B_TOKEN_BYTES == 512 * 1024


def test_every_method_is_timed_at_every_shape(monkeypatch):
    monkeypatch.setattr(selections, "LAYOUTS", (ViewLayout.anyres(1, 2, 6), ViewLayout.single(8, 8)))
    monkeypatch.setattr(selections, "BUDGETS", (16, 32))
    monkeypatch.setattr(selections, "WIDTH", 24)
    told = []
    *_, rows = selections.selections(torch.device("cpu"), 2, 0, told.append)
    assert told == ["selection: 108 to 16", "selection: 108 to 32", "selection: 64 to 16", "selection: 64 to 32"]
    assert {row["method"] for row in rows} == {name for name, method in METHODS.items() if method.selector is not None}
    assert {(row["tokens"], row["budget"], row["kept"]) for row in rows if row["method"] == "v3"} == {
        (108, 16, 16),
        (108, 32, 32),
        (64, 16, 16),
        (64, 32, 32),
    }
    assert sum(row["method"] == "pooling" for row in rows) == 2
    assert all(row["select_ms"] > 0 and row["ratio_to_cosine"] > 0 and row["peak_bytes"] > 0 for row in rows)


def test_a_method_that_keeps_too_few_stops_the_measurement(monkeypatch):
    monkeypatch.setattr(selections, "LAYOUTS", (ViewLayout.single(8, 8),))

    @dataclass(frozen=True)
    class TooFew(ShirgV3):
        def __call__(self, *given, **named):
            return ShirgV3(self.budget - 1)(*given, **named)

    monkeypatch.setitem(METHODS, "v3", replace(METHODS["v3"], selector=TooFew))
    monkeypatch.setattr(selections, "BUDGETS", (16,))
    with pytest.raises(CheckError, match="v3 was asked for 16 of 64 tokens and kept 15"):
        list(selections.selections(torch.device("cpu"), 1, 0))


def test_tolerances_know_every_dtype_a_model_can_have():
    assert set(checks.TOLERANCE) == {torch.float32, torch.bfloat16, torch.float16}
