"""Adaptive budgets: rows climb until the model is sure, each as if it were alone, and the tower runs once."""

from dataclasses import replace

import pytest
import torch

from shirg_core import shirg_v2
from shirg_core.adaptive_budget import AdaptiveBudget
from shirg_core.baselines import Pooling
from shirg_lavida import LavidaPipeline
from shirg_lavida.adaptive import climb
from shirg_lavida.methods import with_method
from shirg_lavida.prompt.prefix import Prefix
from shirg_lavida.testing import MASK_ID

from .ask_setup import asked, refused
from .test_pipeline import picture

BUDGETS = AdaptiveBudget(10, 40, threshold=0.0)
CALL = {"max_new_tokens": 8, "block_length": 8}


@pytest.fixture(scope="module")
def pipe(model):
    return LavidaPipeline.from_pretrained(model, selector=shirg_v2(budget=25))


def test_rows_climb_alone_and_are_not_measured_at_the_top_or_without_an_image():
    calls = []

    def embed(budget, rows):
        calls.append((budget, list(rows)))
        owners = tuple(i for i, row in enumerate(rows) if row != 2)
        values = torch.tensor(rows, dtype=torch.float32).view(-1, 1, 1)
        return Prefix(values, selections=(None,) * len(owners), layouts=(None,) * len(owners), owners=owners)

    def entropy(prefix, rows):
        assert prefix[0].flatten().tolist() == [rows[0]]
        return torch.tensor([{0: 0.5, 1: 0.1, 2: 9.0, 3: 0.9}[row] / len(calls) for row in rows])

    found = climb(AdaptiveBudget(10, 40, threshold=0.3), 4, embed, entropy)
    assert calls == [(10, [0, 1, 2, 3]), (20, [0, 3]), (40, [3])]
    assert [(rung.budget, rung.rows) for rung in found] == [(10, [1, 2]), (20, [0]), (40, [3])]
    assert [rung.prefix.embeddings.flatten().tolist() for rung in found] == [[1, 2], [0], [3]]
    measured = [entropies for rung in found for entropies in rung.entropies]
    assert [[round(h, 3) for h in one] for one in measured] == [[0.1], [], [0.5, 0.25], [0.9, 0.45]]


@pytest.mark.parametrize(("threshold", "kept", "probes"), [(1e9, 10, 1), (0.0, 40, 2)], ids=["sure", "never sure"])
def test_the_answer_is_that_of_the_budget_it_ends_at_and_probes_are_counted(pipe, threshold, kept, probes, monkeypatch):
    runs = []
    monkeypatch.setattr(type(pipe.model.tower), "forward", counted(type(pipe.model.tower).forward, runs))
    adaptive = replace(pipe, adaptive=replace(BUDGETS, threshold=threshold))
    answer = adaptive(picture(), "What?", timings=True, **CALL)
    assert len(runs) == 1
    fixed = pipe.at(kept)(picture(), "What?", **CALL)
    assert torch.equal(answer.ids, fixed.ids)
    assert answer.kept_tokens == fixed.kept_tokens == kept
    assert answer.nfe == fixed.nfe + probes
    assert (len(answer.probed), fixed.probed) == (probes, ())
    assert answer.timings_ms["probe"] > 0
    assert answer.timings_ms["total"] > answer.timings_ms["steps"] == pytest.approx(sum(answer.step_ms), abs=0.01)


def counted(forward, runs):
    def call(self, *args, **kwargs):
        runs.append(1)
        return forward(self, *args, **kwargs)

    return call


def test_each_row_of_a_batch_decides_as_if_alone(pipe):
    images, questions = [picture(), picture(40, 90, "17"), None], ["What?", "How many are there?", "Who?"]
    probing = replace(pipe, adaptive=BUDGETS)
    alone = [probing(image, question, **CALL) for image, question in zip(images[:2], questions[:2], strict=True)]
    between = sum(answer.probed[0] for answer in alone) / 2
    together = replace(pipe, adaptive=replace(BUDGETS, threshold=between))(images, questions, **CALL)
    assert sorted(answer.kept_tokens for answer in together[:2])[0] == 10
    for answer, image, question in zip(together, images, questions, strict=True):
        single = replace(pipe, adaptive=replace(BUDGETS, threshold=between))(image, question, **CALL)
        assert torch.equal(answer.ids, single.ids)
        assert (answer.kept_tokens, answer.nfe) == (single.kept_tokens, single.nfe)
        assert answer.probed == pytest.approx(single.probed, abs=1e-5)
    assert (together[2].kept_tokens, together[2].probed) == (0, ())


def test_drafts_of_a_batch_stay_with_their_rows(pipe):
    draft = torch.tensor([[5, MASK_ID], [6, 7]])
    adaptive = replace(pipe, adaptive=BUDGETS)
    answers = adaptive([picture(), picture(40, 90)], "What?", draft_ids=draft, **CALL)
    assert [answer.ids[0].item() for answer in answers] == [5, 6]
    assert answers[1].ids[1].item() == 7


def test_entropy_is_that_of_the_first_steps_masked_positions(pipe):
    prefix = pipe.embed(["What?"], [[picture()]])
    ids = torch.full((1, 8), MASK_ID)
    ids[0, 0] = 5
    p = pipe.model.denoise_logits(prefix, ids)[0, 1:4].double().softmax(-1)
    expected = -(p * p.log()).sum(-1).mean().item()
    draft = {"draft_ids": ids[:, :1], "block_length": 4}
    for options in (draft, {**draft, "cache": False}):
        found = pipe.model.first_step_entropy(prefix, answer_length=8, **options)
        assert found.tolist() == pytest.approx([expected], rel=1e-4)
    hidden = pipe.model.denoise_logits(prefix, ids[:, :4])[0, 1:4].double().softmax(-1)
    found = pipe.model.first_step_entropy(prefix, answer_length=8, lookahead=False, **draft)
    assert found.tolist() == pytest.approx([-(hidden * hidden.log()).sum(-1).mean().item()], rel=1e-4)


@pytest.mark.parametrize("selector", [None, Pooling()], ids=["none", "pooling"])
def test_a_selector_without_a_budget_is_refused(pipe, selector):
    with pytest.raises(ValueError, match="an adaptive budget needs a selector that takes a budget"):
        replace(pipe, selector=selector, adaptive=BUDGETS)


def test_by_name(pipe):
    chosen = with_method(pipe, "v4", BUDGETS, None, None)
    assert (chosen.adaptive, chosen.selector.budget) == (BUDGETS, 10)
    assert with_method(pipe, "pooling", BUDGETS, None, None).adaptive is None


def test_the_command_records_k_and_every_forward_pass(model, tmp_path, capsys):
    page = tmp_path / "page.png"
    picture().save(page)
    report = asked(page, model, "--budget", "auto:10-40@0")
    assert report["budget_asked"] == "auto:10-40@0.0"
    assert report["budget"] == report["n_kept"] == len(report["indices"]) == 40
    assert (len(report["probed"]), report["nfe"]) == (2, 10)
    assert "probe" in report["timings_ms"]
    assert "10 for 8 tokens, 2 of them to choose the budget (entropy" in capsys.readouterr().out
    assert asked(page, model, "--budget", "auto:10-40@99")["nfe"] == 9
    capsys.readouterr()
    line = refused(capsys, page, "?", "--model", model, "--method", "pooling", "--budget", "auto")
    assert "pooling takes no budget: drop --budget, got auto" in line
    assert "such as auto:0.08-0.5, got 'auto:0.5'" in refused(capsys, page, "?", "--budget", "auto:0.5")
