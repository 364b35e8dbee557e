"""Training the micro model: it resumes bit for bit, freezes what it should, and fails with one clear error."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from shirg_core.precision import default_dtype
from shirg_lavida import load_lavida
from shirg_train.recipe import RecipeError, build
from shirg_train.testbed.micro import loop
from shirg_train.testbed.micro.config import MicroConfig, StageConfig
from shirg_train.testbed.micro.loop import CHECKPOINT, LOG_FILE, in_bfloat16, learning_rate, train_micro
from shirg_train.testbed.micro.run import start_run
from shirg_train.testbed.micro.state import STATE_FILE, Progress

SIZE = {"tower_width": 24, "tower_layers": 1, "tower_mlp": 32, "width": 24, "layers": 2, "mlp": 32, "heads": 3}


def recipe(*stages: dict[str, object], **options: object) -> dict[str, object]:
    return {"size": SIZE, "data": {"questions": 2}, "log_every": 1, "save_every": 1, "stages": list(stages), **options}


READ = {"name": "read", "steps": 2, "pages": 4, "answers": False, "warmup": 2}
ANSWER = {"name": "answer", "steps": 2, "pages": 4, "policies": ["baseline", {"method": "random", "budget": 0.5}]}
ADAPT = {
    "name": "adapt",
    "steps": 4,
    "pages": 2,
    "layout": "joined",
    "train_tower": False,
    "policies": ["pooling", {"method": "v2", "budget": 0.3333}, {"method": "v3", "budget": 0.1667}],
}


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / STATE_FILE, weights_only=True)["model"]


def test_a_resumed_run_is_the_uninterrupted_one(tmp_path: Path) -> None:
    whole = recipe(READ, ANSWER, ADAPT)
    train_micro(whole, tmp_path / "whole")
    train_micro(recipe(READ, {**ANSWER, "steps": 1}), tmp_path / "cut")
    state = torch.load(tmp_path / "cut" / STATE_FILE, weights_only=True)
    assert state["progress"] == {"stage": 1, "step": 1, "total": 3}
    # A killed process may have logged more than it saved.
    with (tmp_path / "cut" / LOG_FILE).open("a", encoding="utf-8") as log:
        log.write('{"stage": "answer", "step": 2, "total": 4}\n{"sta')
    seen: list[tuple[str, int, int]] = []
    train_micro(whole, tmp_path / "cut", report=lambda stage, done, total, _: seen.append((stage, done, total)))
    assert seen == [("answer", 4, 8), *(("adapt", step, 8) for step in range(5, 9))]
    lines = (tmp_path / "cut" / LOG_FILE).read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["total"] for line in lines] == list(range(1, 9))
    for name, value in weights(tmp_path / "whole").items():
        assert torch.equal(value, weights(tmp_path / "cut")[name]), name


@pytest.mark.parametrize("layout", ["joined", "packed"])
def test_v3_is_trained_on_the_towers_attention(tmp_path: Path, layout: str) -> None:
    """The first loss is that of untrained weights, so it differs only where other tokens were kept."""
    lines = {}
    for method in ("v3", "v3-tower"):
        stage = {**ANSWER, "steps": 1, "layout": layout, "policies": [{"method": method, "budget": 0.25}]}
        train_micro(recipe(stage, log_every=1), tmp_path / method)
        (line,) = (tmp_path / method / LOG_FILE).read_text(encoding="utf-8").splitlines()
        lines[method] = json.loads(line)
    assert lines["v3"]["nll/v3-0.25"] != lines["v3-tower"]["nll/v3-tower-0.25"]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64], ids=["bf16", "fp64"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_default_dtype_decides_nothing(tmp_path: Path, precision: str, dtype: torch.dtype) -> None:
    data = [{"questions": 2, "weight": 1}, {"questions": 1, "weight": 2}]
    stages = (READ, {**ANSWER, "templates": 3, "data": data}, {**ADAPT, "steps": 2})
    options = {"precision": precision, "owner_codes": "own", "log_every": 1}
    train_micro(recipe(*stages, **options), tmp_path / "plain")
    with default_dtype(dtype):
        train_micro(recipe(*stages, **options), tmp_path / "other")
    for name, value in weights(tmp_path / "plain").items():
        other = weights(tmp_path / "other")[name]
        assert other.dtype == value.dtype == torch.float32
        assert torch.equal(other, value), name


def test_owners_with_codes_of_their_own_leave_word_embeddings_alone(tmp_path: Path) -> None:
    stage = {**READ, "aids": {"values": 0, "chars": 0, "places": 0}}
    fresh = start_run(build(MicroConfig, recipe(stage))).model.backbone.wte.weight
    words, own = (tmp_path / name for name in ("words", "own"))
    train_micro(recipe(stage), words)
    train_micro(recipe(stage, owner_codes="own"), own)
    assert not torch.equal(weights(words)["backbone.wte.weight"], fresh)
    assert torch.equal(weights(own)["backbone.wte.weight"], fresh)
    heads = [torch.load(folder / STATE_FILE, weights_only=True)["aids"] for folder in (words, own)]
    assert heads[0].keys() ^ heads[1].keys() == {"codes"}
    assert heads[1]["codes"].shape == fresh.shape
    # A run of either kind may start where one of the other kind ended.
    for start, codes in ((words, "own"), (own, "words")):
        still = {**stage, "steps": 1, "lr": 1e-12, "final_lr": 0.0}
        then = tmp_path / f"then_{codes}"
        train_micro(recipe(still, init=str(start / "stages" / "read.pt"), owner_codes=codes), then)
        assert torch.allclose(weights(then)["projector.0.weight"], weights(start)["projector.0.weight"], atol=1e-6)
    # The projector learns either way, and the checkpoint is a LaViDa like any other.
    assert not torch.equal(weights(own)["projector.0.weight"], weights(words)["projector.0.weight"])
    load_lavida(own / CHECKPOINT)


def test_checkpoint_loads_as_a_lavida_in_bfloat16(tmp_path: Path) -> None:
    folder = train_micro(recipe(READ), tmp_path)
    assert folder == tmp_path / CHECKPOINT
    model = load_lavida(folder)
    assert {p.dtype for p in model.parameters()} == {torch.bfloat16}
    assert (folder / "tokenizer.json").is_file()
    trained = weights(tmp_path)["projector.0.weight"]
    assert torch.equal(model.projector[0].weight, trained.to(torch.bfloat16))


def test_a_frozen_tower_stays_and_the_rest_moves(tmp_path: Path) -> None:
    train_micro(recipe(READ), tmp_path)
    before = weights(tmp_path)
    train_micro(recipe(READ, ADAPT), tmp_path)
    after = weights(tmp_path)
    assert all(torch.equal(after[name], value) for name, value in before.items() if name.startswith("tower."))
    moved = ("projector.0.weight", "backbone.wte.weight", "backbone.blocks.0.q_proj.weight", "image_newline")
    assert not any(torch.equal(after[name], before[name]) for name in moved)


def test_log_names_losses_per_policy(tmp_path: Path) -> None:
    train_micro(recipe(READ, ANSWER, ADAPT), tmp_path)
    lines = [json.loads(line) for line in (tmp_path / LOG_FILE).read_text(encoding="utf-8").splitlines()]
    assert [line["total"] for line in lines] == list(range(1, 9))
    seen = {name for line in lines for name in line if name.startswith("nll/")}
    assert seen <= {"nll/baseline", "nll/random-0.5", "nll/pooling", "nll/v2-0.3333", "nll/v3-0.1667"}
    assert "chars" in lines[0]
    assert not any(name.startswith("nll") for name in lines[0])
    assert "chars" not in lines[-1]


def test_a_run_starts_where_a_stage_of_another_ended(tmp_path: Path) -> None:
    train_micro(recipe(READ), tmp_path / "first")
    stage = tmp_path / "first" / "stages" / "read.pt"
    train_micro(recipe({**READ, "steps": 1, "lr": 1e-12, "final_lr": 0.0}, init=str(stage)), tmp_path / "second")
    for name, value in weights(tmp_path / "first").items():
        torch.testing.assert_close(weights(tmp_path / "second")[name], value, rtol=0, atol=1e-9, msg=name)
    folder = tmp_path / "first" / CHECKPOINT
    train_micro(recipe({**READ, "steps": 1, "lr": 1e-12, "final_lr": 0.0}, init=str(folder)), tmp_path / "rounded")
    for name, value in weights(tmp_path / "first").items():
        rounded = value.bfloat16().float()
        torch.testing.assert_close(weights(tmp_path / "rounded")[name], rounded, rtol=0, atol=1e-9, msg=name)
    for wrong, message in (
        (tmp_path / "gone.pt", "gone.pt"),
        (tmp_path / "first" / STATE_FILE, "does not hold"),
        (folder, "does not hold"),
    ):
        shape = {} if "gone" in message else {"size": {**SIZE, "width": 48}}
        with pytest.raises(RecipeError, match=message):
            train_micro({**recipe(READ, init=str(wrong)), **shape}, tmp_path / "third")


def test_precision_is_bfloat16_where_asked_or_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    for fast in (True, False):
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda fast=fast: fast)
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
        assert [in_bfloat16(name) for name in ("auto", "bfloat16", "float32")] == [fast, True, False]


def test_reading_is_learnt(tmp_path: Path) -> None:
    train_micro(recipe({**READ, "steps": 30, "pages": 8, "warmup": 5}), tmp_path)
    lines = [json.loads(line) for line in (tmp_path / LOG_FILE).read_text(encoding="utf-8").splitlines()]
    assert lines[-1]["chars"] < 0.8 * lines[0]["chars"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stages": [{**READ, "speed": 3}]}, r"stages\[0\].speed"),
        ({"stages": [{**READ, "tiers": ["odd"]}]}, "odd"),
        ({"stages": [{**ANSWER, "policies": [{"method": "v2", "budget": 0.5}]}]}, "joined"),
        ({"stages": [{**READ, "train_tower": False}]}, "trains nothing"),
        ({"stages": [{**ADAPT, "templates": 99}]}, "templates"),
    ],
)
def test_bad_recipes_are_named(tmp_path: Path, change: dict[str, object], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        train_micro({**recipe(READ), **change}, tmp_path)


def test_a_failed_save_keeps_the_last_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train_micro(recipe(READ), tmp_path)
    before = (tmp_path / STATE_FILE).read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="No space"):
        train_micro(recipe({**READ, "steps": 4}), tmp_path)
    assert (tmp_path / STATE_FILE).read_bytes() == before


def test_learning_rate_warms_up_and_decays() -> None:
    stage = StageConfig("s", steps=100, lr=1.0, final_lr=0.0, warmup=10)
    assert learning_rate(stage, 0) == pytest.approx(0.1)
    assert learning_rate(stage, 50) == pytest.approx(0.5)
    assert learning_rate(stage, 99) == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"seed": 2}, "seed"),
        ({"clip": 2.0}, "clip"),
        ({"stages": [{**READ, "lr": 1e-3}, ANSWER]}, r"stages\[0\]"),
        ({"stages": [ANSWER, READ]}, r"stages\[0\], stages\[1\]"),
        ({"stages": [READ]}, r"stages\[1\]"),
    ],
)
def test_a_run_is_not_continued_with_another_recipe(tmp_path: Path, change: dict[str, object], named: str) -> None:
    begun = recipe(READ, {**ANSWER, "steps": 1})
    train_micro(begun, tmp_path)
    before = (tmp_path / STATE_FILE).read_bytes()
    with pytest.raises(RecipeError, match=f"begun with another recipe \\({named} differ\\)"):
        train_micro({**begun, **change}, tmp_path)
    assert (tmp_path / STATE_FILE).read_bytes() == before
    train_micro({**begun, "save_every": 5, "stages": [READ, ANSWER]}, tmp_path)
    (tmp_path / STATE_FILE).write_bytes(before[:-200])
    with pytest.raises(RecipeError, match=r"state\.pt is damaged"):
        train_micro(begun, tmp_path)


def test_a_run_recorded_with_a_key_that_is_gone_is_refused(tmp_path: Path) -> None:
    train_micro(recipe(READ), tmp_path)
    state = torch.load(tmp_path / STATE_FILE, weights_only=True)
    state["recipe"]["gone"] = 7
    torch.save(state, tmp_path / STATE_FILE)
    with pytest.raises(RecipeError, match=r"another recipe \(gone"):
        train_micro(recipe(READ, ANSWER), tmp_path)


def test_a_run_recorded_before_recipes_could_say_more_goes_on(tmp_path: Path) -> None:
    begun = recipe(READ, {**ANSWER, "steps": 1})
    train_micro(begun, tmp_path)
    state = torch.load(tmp_path / STATE_FILE, weights_only=True)
    for stage in state["recipe"]["stages"]:
        del stage["templates"]
        for policy in stage["policies"]:
            del policy["up_to"]
    torch.save(state, tmp_path / STATE_FILE)
    train_micro(recipe(READ, ANSWER), tmp_path)


def test_a_gradient_that_is_not_finite_changes_no_weight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = loop._losses

    def steep(run: object, stage: StageConfig, progress: Progress) -> tuple[str, dict[str, torch.Tensor]]:
        name, losses = real(run, stage, progress)
        if progress.total == 1:
            newline = run.model.image_newline  # type: ignore[attr-defined]
            losses["loss"] = losses["loss"] + (newline * 0).sqrt().sum()
        return name, losses

    monkeypatch.setattr(loop, "_losses", steep)
    with pytest.raises(FloatingPointError, match=r"norm is nan at step 1; the last saved state is intact"):
        train_micro(recipe(ANSWER), tmp_path)
    assert all(value.isfinite().all() for value in weights(tmp_path).values())


@pytest.mark.parametrize(
    ("stages", "options", "message"),
    [
        ([], {}, "stages must list at least one"),
        ([READ, READ], {}, "names of their own, got read more than once"),
        ([{**READ, "name": "a/b"}], {}, "a stage's name is part of a file's name: .* got 'a/b'"),
        ([{**READ, "policies": []}], {}, "policies must list at least one"),
        (
            [{**READ, "aids": {"chars": 0, "places": 0, "values": 0, "owners": 0}}],
            {},
            r"all auxiliary losses \(aids\) of the tower are 0",
        ),
        ([READ], {"save_every": 0}, "save_every must be an integer ≥ 1, got 0"),
        ([READ], {"clip": 0}, "clip must be a finite number > 0, got 0"),
        ([READ], {"size": {"heads": 0}}, r"size\.heads must be an integer ≥ 1, got 0"),
        ([{**READ, "lr": float("nan")}], {}, r"stages\[0\]\.lr must be a finite number > 0, got nan"),
        ([{**READ, "warmup": -1}], {}, r"stages\[0\]\.warmup must be an integer ≥ 0, got -1"),
        ([{**READ, "aids": {"chars": -1}}], {}, r"stages\[0\]\.aids\.chars must be a finite number ≥ 0, got -1"),
    ],
)
def test_recipes_that_lead_nowhere(
    tmp_path: Path, stages: list[dict[str, object]], options: dict[str, object], message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        train_micro(recipe(*stages, **options), tmp_path)
