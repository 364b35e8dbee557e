"""Learned compressors: exact counts, gradients where something is trained, resumed runs, and what each formula says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from shirg_core.cli.app import main
from shirg_core.methods import METHODS
from shirg_lavida.checkpoint.load import load_lavida
from shirg_train.recipe import RecipeError, build
from shirg_train.testbed.compressors.config import PLACES
from shirg_train.testbed.compressors.docvlm import QUERIES
from shirg_train.testbed.compressors.grid import SquareAttention, on_squares, page_layout, squares
from shirg_train.testbed.compressors.objective import compressed_objective
from shirg_train.testbed.compressors.printed import printed_facts
from shirg_train.testbed.compressors.registry import FILE, build_compressor, load_compressor
from shirg_train.testbed.compressors.rows import compress, compressed_entries, compressed_rows
from shirg_train.testbed.compressors.vision_selector import soft_top_k
from shirg_train.testbed.micro.answers import answer_pass
from shirg_train.testbed.micro.batches import label_tokens, to_tensors
from shirg_train.testbed.micro.build import build_model
from shirg_train.testbed.micro.config import DataConfig, MicroConfig, SizeConfig, StageConfig
from shirg_train.testbed.micro.loop import CHECKPOINT, LOG_FILE, train_micro
from shirg_train.testbed.micro.objective import one_question_a_row
from shirg_train.testbed.micro.state import STATE_FILE, finished_recipe
from shirg_train.testbed.pages.config import split_seed
from shirg_train.testbed.pages.page import draw_pages
from shirg_train.testbed.pages.tokenizer import build_tokenizer
from shirg_train.testbed.pages.tokens import TEMPLATES

SIZE = SizeConfig(tower_width=24, tower_layers=3, tower_mlp=32, width=24, layers=2, mlp=32, heads=3)
STAGE = StageConfig("adapt", 4, pages=2, layout="joined")
PAGES, QUESTIONS, K = 2, 3, 29
FREE = [name for name in PLACES if METHODS[name].takes_budget]


@pytest.fixture(scope="module")
def drawn():
    return draw_pages(
        DataConfig(questions=QUESTIONS).pages(SIZE, "hard"), [split_seed("train", i) for i in range(PAGES)]
    )


@pytest.fixture(scope="module")
def batch(drawn):
    return to_tensors(drawn, build_tokenizer(), TEMPLATES[0])


@pytest.fixture(scope="module")
def model():
    return build_model(SIZE, build_tokenizer(), 0)


def budget(method: str) -> int | None:
    return K if method in FREE else None


def recipe(method: str, steps: int = 4, **options: object) -> dict[str, object]:
    compressor = {"method": method, "budgets": [0.25, K]} if method in FREE else method
    stage = {"name": "adapt", "steps": steps, "pages": 2, "layout": "joined", "train_tower": False}
    size = {name: getattr(SIZE, name) for name in SizeConfig.__dataclass_fields__}
    every = {"log_every": 1, "save_every": 1, "data": {"questions": 2}}
    return {"size": size, "compressor": compressor, "stages": [stage], **every, **options}


@pytest.mark.parametrize("method", PLACES)
def test_counts_are_exact_and_gradients_reach_what_is_trained_and_nothing_frozen(method, model, batch):
    compressor = build_compressor(method, model, 1)
    rows = compress(model, compressor, batch, budget(method))
    indices = rows.selection.indices
    assert indices.shape == (PAGES * QUESTIONS, K if method in FREE else 49)
    assert bool((indices.diff(dim=1) > 0).all())
    extra = QUERIES if method == "docvlm" else 0
    for entry in compressed_entries(model, rows):
        newlines = (entry.embeddings == model.image_newline).all(-1).sum()
        assert len(entry.embeddings) - newlines == indices.shape[1] + extra
        assert bool((entry.places.diff() > 0).all())
        assert entry.places[-1] < entry.span
    model.tower.requires_grad_(requires_grad=False)
    generator = torch.Generator().manual_seed(0)
    facts = {"labels": label_tokens(build_tokenizer()), "unknown": 0, "generator": generator}
    losses = compressed_objective(model, compressor, batch, STAGE, budget(method), done=0.2, **facts)
    losses["loss"].backward()
    assert all(p.grad is None for p in model.tower.parameters())
    lacking = [name for name, p in compressor.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    # LaCo's last layer is zero at first, so that the one before it learns from the second step on.
    assert [name for name in lacking if not name.startswith("unshuffled.0") and "in_proj" not in name] == []
    assert model.backbone.blocks[0].q_proj.weight.grad.abs().sum() > 0
    model.zero_grad(set_to_none=True)


@pytest.mark.parametrize("method", PLACES)
def test_a_resumed_run_is_the_uninterrupted_one_and_its_checkpoint_carries_the_compressor(method, tmp_path: Path):
    folder = train_micro(recipe(method), tmp_path / "whole")
    assert finished_recipe(tmp_path / "whole").compressor.method == method
    with pytest.raises(KeyboardInterrupt):
        train_micro(recipe(method), tmp_path / "cut", report=interrupted)
    with pytest.raises(RecipeError, match="is at step 2 of 4: finish it first"):
        finished_recipe(tmp_path / "cut")
    train_micro(recipe(method), tmp_path / "cut")
    whole, cut = (torch.load(tmp_path / name / STATE_FILE, weights_only=True) for name in ("whole", "cut"))
    for part in ("model", "compressor"):
        assert whole[part].keys() == cut[part].keys()
        assert all(torch.equal(value, cut[part][name]) for name, value in whole[part].items())
    lines = (tmp_path / "cut" / LOG_FILE).read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3, 4]
    loaded = load_compressor(folder, load_lavida(folder, dtype=torch.float32))
    assert loaded.method == method
    for name, value in loaded.state_dict().items():
        assert torch.equal(value, whole["compressor"][name].bfloat16().float())
    assert load_lavida(folder).config.raw["shirg"]["method"] == method


def interrupted(_stage: str, done: int, *_: float) -> None:
    """Ends the run in its third step, before that is saved."""
    if done > 2:
        raise KeyboardInterrupt


def test_the_command_refuses_bad_compressors_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for number, (changes, expected) in enumerate(
        (
            ({"compressor": "token-paker"}, "did you mean 'token-packer'"),
            ({"compressor": "cropr"}, "compressor: compressor 'cropr' needs budgets"),
            ({"compressor": {"method": "sms", "budgets": [0.25]}}, "takes no budgets (its grid decides), got [0.25]"),
            ({"compressor": {"method": "cropr", "budgets": [1.5]}}, "got 1.5"),
            ({"compressor": "sms", "size": {"views": "anyres"}}, "takes pages of one view, got anyres"),
            ({"compressor": "sms", "stages": [{"name": "a", "steps": 1}]}, "train_tower must be false"),
        )
    ):
        path = tmp_path / f"{number}.yaml"
        given = {"kind": "micro", "output": str(tmp_path / "out"), **recipe("sms"), **changes}
        path.write_text(json.dumps(given), encoding="utf-8")
        assert main(["train", str(path), "--quiet"]) == 2
        error = capsys.readouterr().err
        assert expected in error
        assert error.count("\n") == 1
    with pytest.raises(RecipeError, match="policies must be left out"):
        build(MicroConfig, recipe("sms", stages=[{**recipe("sms")["stages"][0], "policies": ["pooling"]}]))


def test_a_damaged_compressor_is_one_error(tmp_path: Path, model):
    folder = train_micro(recipe("sms", steps=1), tmp_path)
    other = build_model(SizeConfig(tower_width=48, tower_layers=3, width=24, layers=2, heads=3), build_tokenizer(), 0)
    with pytest.raises(ValueError, match="holds no sms of this model's shape"):
        load_compressor(folder, other)
    (folder / FILE).unlink()
    assert load_compressor(folder, model) is None
    assert folder == tmp_path / CHECKPOINT


def test_soft_top_k_sums_to_k_and_its_gradient_is_that_of_the_constraint():
    scores = torch.randn(2, 40, generator=torch.Generator().manual_seed(3), dtype=torch.float64) * 3
    soft = soft_top_k(scores, 7)
    torch.testing.assert_close(soft.sum(1), torch.full((2,), 7.0, dtype=torch.float64))
    assert bool((soft.argsort(dim=1) == scores.argsort(dim=1)).all())
    assert torch.autograd.gradcheck(lambda s: soft_top_k(s, 7), scores.requires_grad_(), atol=1e-4)


def test_what_has_no_weight_is_not_attended_to(model, batch):
    rows = compress(model, build_compressor("sms", model, 1), batch, None)
    visual, asked = compressed_rows(model, rows), one_question_a_row(batch)
    samples = torch.full((*asked.answers.shape[:2], 1, asked.answers.shape[2]), model.config.mask_token_id)
    weights = torch.ones(visual.valid.shape)

    def logits(entries: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor:
        out = answer_pass(model, entries, visual.valid, asked.head, asked.tails, samples, joined=True, weights=weights)
        return out.logits

    other = visual.rows.clone()
    other[:, 5:20] += 1
    torch.testing.assert_close(logits(visual.rows, weights), logits(visual.rows, None))
    assert not torch.allclose(logits(other, weights), logits(visual.rows, weights), atol=1e-3)
    weights[:, 5:20] = 0
    torch.testing.assert_close(logits(other, weights), logits(visual.rows, weights), atol=1e-4, rtol=0)


def test_a_soft_choice_keeps_every_token_and_a_hard_one_those_of_inference(model, batch):
    compressor = build_compressor("vision-selector", model, 1)
    training = compress(model, compressor, batch, K, 0.1)
    assert training.selection.indices.shape[1] == 196
    torch.testing.assert_close(training.weights.sum(1), torch.full((PAGES * QUESTIONS,), float(K)), rtol=0.02, atol=0)
    visual = compressed_rows(model, training)
    at = visual.columns.gather(1, training.selection.indices)
    assert torch.equal(visual.weights.gather(1, at), training.weights)
    hard = compress(model, compressor, batch, K, 0.9)
    asked = compress(model, compressor, batch, K)
    assert torch.equal(hard.selection.indices, asked.selection.indices)
    assert torch.equal(hard.weights, torch.ones_like(hard.weights))


def test_squares_are_those_of_the_grid_and_attention_stays_inside(model):
    grid = torch.arange(16.0).view(1, 16, 1)
    assert squares(grid, 2)[0, :, :, 0].tolist() == [[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]]
    with pytest.raises(ValueError, match="got 15 tokens"):
        squares(grid[:, :15], 2)
    attention = SquareAttention(8, 2)
    query, inside = torch.randn(1, 4, 8), torch.randn(1, 4, 4, 8)
    before = attention(query, inside, inside)
    inside[:, 2] += 1
    changed = (attention(query, inside, inside) != before).any(-1)
    assert changed.tolist() == [[False, False, True, False]]
    selection = on_squares(torch.randn(2, 49, 8), page_layout(model), 2)
    assert selection.indices[0, :8].tolist() == [0, 2, 4, 6, 8, 10, 12, 28]
    assert selection.regions[0, [0, 1, 14, 15, 2]].tolist() == [0, 0, 0, 0, 1]


def test_facts_are_what_the_page_says(drawn, batch):
    facts = printed_facts(batch, 14)
    for page in range(PAGES):
        labels = facts.labels[page][facts.valid[page]].tolist()
        for question in range(QUESTIONS):
            at = labels.index(int(drawn.question_labels[page, question]))
            wanted = [code + 1 for code in drawn.answer_codes[page, question] if code >= 0]
            assert [code for code in facts.values[page, at].tolist() if code] == wanted
            patches = drawn.answer_patches[page, question].nonzero()[0]
            top, left, bottom, right = (facts.boxes[page, at] * 14).round().long().tolist()
            centres = drawn.pointers[page, question][: len(wanted)]
            assert all(top <= c // 14 < bottom and left <= c % 14 < right for c in centres)
            assert len(patches)


def test_docvlm_reads_the_question_and_the_others_do_not(model, batch):
    docvlm = build_compressor("docvlm", model, 1)
    extra = compress(model, docvlm, batch, None).extra.unflatten(0, (PAGES, QUESTIONS))
    assert not torch.allclose(extra[:, 0], extra[:, 1])
    sms = compress(model, build_compressor("sms", model, 1), batch, None).selection.kept
    assert torch.equal(sms[0], sms[1])
    assert not torch.equal(sms[0], sms[QUESTIONS])
