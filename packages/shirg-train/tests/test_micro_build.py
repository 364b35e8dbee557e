"""How a fresh micro model starts and what it is shown: places apart from print, heads that look around, cut figures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from shirg_train.testbed.micro.auxiliary import CUT_PER_CENT, AuxiliaryHeads, spelled
from shirg_train.testbed.micro.batches import MicroBatch, draw_batch, to_tensors
from shirg_train.testbed.micro.build import NEIGHBOURS, build_model, grid_waves, lookup, paper_filters
from shirg_train.testbed.micro.config import DataConfig, MicroConfig, SizeConfig, StageConfig
from shirg_train.testbed.micro.visual import tower_features
from shirg_train.testbed.pages.config import KINDS, split_seed
from shirg_train.testbed.pages.page import draw_pages
from shirg_train.testbed.pages.tokenizer import build_tokenizer
from shirg_train.testbed.pages.tokens import TEMPLATES

SIDE = 14


@pytest.mark.parametrize("offset", [(-1, 0), (1, 0), (0, -1), (2, 3)])
def test_a_lookup_is_largest_at_its_offset(offset: tuple[int, int]) -> None:
    waves = grid_waves(SIDE, 32)
    query, key = lookup(32, *offset)
    product = ((waves @ query.T) @ (waves @ key.T).T).view(SIDE, SIDE, SIDE, SIDE)
    for row, column in np.ndindex(SIDE - 5, SIDE - 5):
        r, c = row + 2, column + 2
        best = int(product[r, c].argmax())
        assert divmod(best, SIDE) == (r + offset[0], c + offset[1])


def test_filters_see_ink_not_paper() -> None:
    filters = paper_filters(64, 8)
    assert torch.allclose(filters.sum(dim=(1, 2, 3)), torch.zeros(64), atol=1e-5)
    grey = torch.randn(5, 1, 8, 8).expand(-1, 3, -1, -1)
    seen = grey.flatten(1) @ filters.flatten(1).T
    ink = (grey[:, 0] - grey[:, 0].mean(dim=(1, 2), keepdim=True)).flatten(1)
    # Nothing of the ink is lost or stretched, but for one direction in 64: the flat one.
    assert torch.allclose(seen.norm(dim=1), 3**0.5 * ink.norm(dim=1), rtol=0.1)


def page() -> MicroBatch:
    drawn = draw_pages(DataConfig().pages(SizeConfig(), "easy"), [split_seed("train", i) for i in range(8)])
    return to_tensors(drawn, build_tokenizer(), TEMPLATES[0])


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_any_number_of_heads_leaves_channels_for_print(heads: int) -> None:
    size = SizeConfig(tower_width=24, tower_layers=1, tower_mlp=32, width=24, layers=2, mlp=32, heads=heads)
    model = build_model(size, build_tokenizer(), 0)
    kernel = model.tower.siglip.embeddings.patch_embedding.weight.flatten(1)
    places = model.tower.siglip.embeddings.position_embedding.weight
    print_, place = kernel.norm(dim=1) > 0, places.norm(dim=0) > 0
    assert print_.sum() >= 12
    assert place.sum() >= 4
    assert not (print_ & place).any()


@pytest.mark.parametrize("number", range(len(NEIGHBOURS)))
def test_heads_look_at_their_neighbours_on_printed_pages(number: int) -> None:
    model, batch = build_model(SizeConfig(), build_tokenizer(), 0), page()
    layer = model.tower.siglip.encoder.layers[number]
    seen: list[Tensor] = []
    layer.self_attn.register_forward_pre_hook(
        lambda _, args, options: seen.append(args[0] if args else options["hidden_states"]), with_kwargs=True
    )
    with torch.no_grad():
        tower_features(model, batch.images)
        x, attention = seen[0], layer.self_attn
        q, k = (part(x).unflatten(-1, (3, 32)).transpose(1, 2) for part in (attention.q_proj, attention.k_proj))
        weights = (q @ k.mT / 32**0.5).softmax(-1).view(-1, 3, SIDE, SIDE, SIDE, SIDE)
    inked = (batch.chars > 0).any(-1).view(-1, SIDE, SIDE)
    for head, (down, right) in enumerate(NEIGHBOURS[number]):
        shares = [
            weights[b, head, r, c, r + down, c + right].item()
            for b, r, c in inked.nonzero().tolist()
            if 0 < r < SIDE - 1 and 0 < c < SIDE - 1
        ]
        assert np.mean(shares) > 0.5


def test_cut_glyphs_weigh_more_in_the_loss_of_glyphs() -> None:
    batch = page()
    cut, whole = batch.cut >= CUT_PER_CENT, (batch.chars > 0) & (batch.cut < CUT_PER_CENT)
    assert cut.any()
    heads = AuxiliaryHeads(8, 8, (2, 2))
    features = torch.randn(*batch.chars.shape[:2], 8)
    each = -heads.chars(features).unflatten(-1, (heads.cells, -1)).log_softmax(-1)
    each = each.gather(-1, batch.chars.clamp_min(0)[..., None])[..., 0]
    empty = 0.1 * (batch.chars == 0)
    for extra in (0.0, 4.0):
        weight = whole + (1 + extra) * cut + empty
        expected = (each * weight).sum() / weight.sum()
        assert heads.glyphs(features, batch, extra)[0].item() == pytest.approx(expected.item(), rel=1e-5)


def test_a_stage_may_have_pages_of_its_own() -> None:
    dense = StageConfig("dense", 1, pages=8, data=(DataConfig(facts=(24, 40), questions=10),))
    plain = StageConfig("plain", 1, pages=8)
    config = MicroConfig(stages=(dense, plain))
    many, few = (draw_batch(config, stage, 0, build_tokenizer()) for stage in config.stages)
    assert many.answers.shape[1] == 10
    assert few.answers.shape[1] == config.data.questions
    assert (many.places > 0).sum() > 1.5 * (few.places > 0).sum()


def test_a_stage_draws_among_its_pages_by_weight() -> None:
    upright = DataConfig(facts=(4, 6), questions=2, kinds=(0, 0, 0, 1, 0, 0))
    stage = StageConfig("charts", 1, pages=4, data=(DataConfig(weight=3), upright))
    config, tokenizer = MicroConfig(stages=(stage,)), build_tokenizer()
    asked = [draw_batch(config, stage, step, tokenizer).answers.shape[1] for step in range(60)]
    assert 6 <= asked.count(2) <= 24
    assert asked.count(2) + asked.count(4) == 60
    assert asked == [draw_batch(config, stage, step, tokenizer).answers.shape[1] for step in range(60)]
    page = upright.pages(config.size, "easy")
    assert (draw_pages(page, range(32)).question_kinds == KINDS.index("bars")).mean() > 0.5
    with pytest.raises(ValueError, match="weight must be a finite number > 0, got 0"):
        DataConfig(weight=0)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (DataConfig(kinds=(1, 1)), "pages of stage 's': kinds needs 6 weights"),
        (DataConfig(facts=(3, 9)), "pages of stage 's': 1 ≤ questions ≤ facts"),
        (DataConfig(facts=(90, 96), questions=90), "pages of stage 's': "),
    ],
)
def test_pages_that_cannot_be_drawn_are_refused_before_training(data: DataConfig, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MicroConfig(stages=(StageConfig("s", 1, data=(DataConfig(), data)),))
    with pytest.raises(ValueError, match=message):
        MicroConfig(stages=(StageConfig("s", 1),), data=data)


def test_a_patch_that_shows_parts_of_two_lines_spells_both() -> None:
    batch = replace(
        page(),
        # Cells in raster order: the upper line's places 1 and 2, the lower line's place 2 and a letter of no value.
        chars=torch.tensor([[[5, 6, 7, 40]]]),
        places=torch.tensor([[[1, 2, 2, 0]]]),
    )
    assert spelled(batch, 2).tolist() == [[[[5, 6, 0, 0, 0], [0, 7, 0, 0, 0]]]]
    unread = replace(batch, chars=torch.tensor([[[-1, -1, 7, -1]]]), places=torch.tensor([[[0, 0, 2, 0]]]))
    assert spelled(unread, 2).tolist() == [[[[0, 0, 0, 0, 0], [0, 7, 0, 0, 0]]]]
