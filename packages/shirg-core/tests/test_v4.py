"""SHIRG-v4: its components against their formulas, what it promises, and what it refuses."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from shirg_core import View, ViewLayout, get_selector, shirg_v4
from shirg_core.scores import distinctness, saturate, text_evidence
from shirg_core.scores.distinctness import RADIUS

GRID = ViewLayout.single(6, 7)


def page(batch: int = 1, channels: int = 24, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Blank patches that are near-copies of one another and nine distinct ones, with the edges of both."""
    generator = torch.Generator().manual_seed(seed)
    features = torch.ones(batch, 42, channels) + 0.01 * torch.randn(batch, 42, channels, generator=generator)
    ink = torch.randperm(42, generator=generator)[:9]
    features[:, ink] = torch.randn(batch, 9, channels, generator=generator)
    edges = torch.full((batch, 42), 0.01)
    edges[:, ink] = 0.3
    return features, edges


def exact(tokens: Tensor, radius: float) -> Tensor:
    """The definition in float64, with the N×N matrix."""
    unit = torch.nn.functional.normalize(tokens.double(), dim=-1)
    d = (unit[:, None] - unit).square().sum(-1) / 2
    near = (1 - d / (4 * radius * d.mean())).clamp_min(0) ** 4
    return -near.mean(1).log() / math.log(len(tokens))


@pytest.mark.parametrize("n", [2, 63, 300], ids="n{}".format)
@pytest.mark.parametrize("radius", [RADIUS, 0.5], ids="radius{:.2f}".format)
def test_distinctness_is_its_definition(n: int, radius: float) -> None:
    tokens = torch.randn(1, n, 24, generator=torch.Generator().manual_seed(n))
    found = distinctness(tokens, ViewLayout.single(1, n), radius=radius)
    torch.testing.assert_close(found[0].double(), exact(tokens[0], radius), atol=2**-16, rtol=0)


def test_a_channel_far_above_the_others_costs_no_precision() -> None:
    tokens = torch.randn(1, 300, 24, generator=torch.Generator().manual_seed(3))
    tokens[..., 5] += 300
    found = distinctness(tokens, ViewLayout.single(1, 300), radius=0.5)
    torch.testing.assert_close(found[0].double(), exact(tokens[0], 0.5), atol=2**-14, rtol=0)


def test_sketched_distances_find_the_same_tokens() -> None:
    features, _ = page(channels=512)
    found = distinctness(features, GRID)[0]
    assert set(found.topk(9).indices.tolist()) == set(exact(features[0], RADIUS).topk(9).indices.tolist())
    assert found.amin() < 0.2


def test_copies_are_equally_distinct_and_alone_is_fully_so() -> None:
    tokens = torch.randn(1, 600, 24, generator=torch.Generator().manual_seed(1))
    tokens[0, 513] = tokens[0, 7]
    found = distinctness(tokens, ViewLayout.single(20, 30))[0]
    assert found[7] == found[513] < found.amax() == 1
    assert (distinctness(torch.ones(1, 42, 24), GRID) == 0).all()


def test_padding_is_nobodys_copy() -> None:
    features, _ = page()
    valid = [[x < 5 for x in range(7)] for _ in range(6)]
    padded, cut = ViewLayout([View(6, 7, valid=valid)]), ViewLayout.single(6, 5)
    keep = padded.valid_mask()
    features[:, ~keep] = torch.nan
    scores = distinctness(features, padded)
    assert torch.equal(scores[:, keep], distinctness(features[:, keep], cut))
    assert (scores[:, ~keep] == 0).all()


def test_saturation_is_half_at_a_third_of_the_mean_and_per_view_where_asked() -> None:
    layout = ViewLayout([View(1, 2), View(1, 2)])
    x = torch.tensor([[1.0, 5.0, 0.0, 100.0]])
    per_view = saturate(x, layout, "view")
    torch.testing.assert_close(per_view, torch.tensor([[0.5, 5 / 6, 0.0, 100 / (100 + 50 / 3)]]))
    mean = 106 / 4
    assert saturate(x, layout, "image")[0, 0] == pytest.approx(1 / (1 + mean / 3))
    assert (saturate(torch.tensor([[0.0, -1.0, 0.0, 0.0]]), layout, "image") == 0).all()


def test_text_is_heard_where_tokens_are_aligned_with_it_and_not_elsewhere() -> None:
    generator = torch.Generator().manual_seed(5)
    features, text = torch.randn(1, 42, 256, generator=generator), torch.randn(1, 3, 256, generator=generator)
    assert (text_evidence(features, text, None, GRID) == 0).all()
    features[:, 11] = text[:, 1]
    heard = text_evidence(features, text, None, GRID)
    assert heard.argmax() == 11
    assert heard[0, 11] > 0.9
    masked = text_evidence(features, text, torch.tensor([[True, False, True]]), GRID)
    assert (masked == 0).all()


@pytest.mark.parametrize("budget", [1, 9, 20, 42, 1.0])
def test_exactly_k_distinct_patches_first(budget: int | float) -> None:
    features, edges = page(batch=2)
    selection = shirg_v4(budget)(features, GRID, edges=edges)
    k = 42 if isinstance(budget, float) else budget
    assert selection.indices.shape == (2, k)
    assert (selection.indices.diff() > 0).all()
    ink = edges[0] > 0.1
    assert int(ink[selection.indices[0]].sum()) == min(k, 9)
    assert torch.equal(selection.tokens[:, :k], selection.gather(features))


def test_attention_counts_where_it_is_given() -> None:
    features, edges = page()
    alone = shirg_v4(5)(features, GRID, edges=edges)
    attention = torch.full((1, 42), 0.1)
    looked_at = int((edges[0] > 0.1).nonzero()[-1])
    attention[0, looked_at] = 10.0
    given = shirg_v4(5, attention_weight=5.0)(features, GRID, edges=edges, attention=attention)
    assert given.mask[0, looked_at]
    assert not torch.equal(alone.scores, given.scores)


def test_gradients_reach_kept_tokens_and_the_summary() -> None:
    features, edges = page()
    features.requires_grad_()
    shirg_v4(5)(features, GRID, edges=edges).tokens.sum().backward()
    assert features.grad is not None
    assert (features.grad != 0).all()


def test_batch_does_not_change_a_choice() -> None:
    features, edges = page(batch=3)
    both = shirg_v4(9)(features, GRID, edges=edges)
    for i in range(3):
        one = shirg_v4(9)(features[i : i + 1], GRID, edges=edges[i : i + 1])
        assert torch.equal(one.indices[0], both.indices[i])
        assert torch.equal(one.scores[0], both.scores[i])


@pytest.mark.parametrize(
    ("fields", "given", "message"),
    [
        ({}, {}, "needs `edges`"),
        ({"attention_of": "tower"}, {"edges": 1}, "needs `attention`"),
        ({"summary": "attention"}, {"edges": 1}, "needs `attention`"),
        ({"attention_of": "cls"}, {}, "attention_of"),
        ({"radius": 0}, {}, "radius"),
        ({"text_weight": -1}, {}, "text_weight"),
    ],
)
def test_bad_calls_are_refused(fields: dict[str, object], given: dict[str, object], message: str) -> None:
    features, edges = page()
    inputs = {name: edges if name == "edges" else value for name, value in given.items()}
    with pytest.raises(ValueError, match=message):
        get_selector("v4", budget=9, **fields)(features, GRID, **inputs)  # type: ignore[arg-type]
