import math

import pytest
import torch

from shirg_core import View, ViewLayout
from shirg_core.baselines import ConditionalDPP
from shirg_core.baselines.dpp import conditional_weight, greedy_map
from shirg_core.baselines.similarity import cosine_matrix

NONE = torch.empty(0, dtype=torch.int64)


def at_angles(*degrees):
    angle = torch.tensor(degrees, dtype=torch.float32) * math.pi / 180
    return torch.stack([angle.cos(), angle.sin()], dim=1)


def test_uniform_relevance_takes_the_first_token_then_the_most_orthogonal():
    # det of a pair is sin² of the angle between them; 100° beats 60° and 150° beside 0°.
    features = at_angles(0, 60, 100, 150)[None]
    selection = ConditionalDPP(2, relevance="uniform")(features, ViewLayout.single(2, 2))
    assert selection.indices.tolist() == [[0, 2]]


def test_relevance_can_outweigh_diversity():
    # Cosines with the text: 1, 0.98, 0, -0.34; so r̃ = 1, 0.99, 0.25, 0. The gains after token 0 are r̃² sin²:
    # 0.03 for 10°, 0.07 for 90°, 0 for 110°.
    features, text = at_angles(0, 10, 90, 110)[None], at_angles(0)[None]
    pick = ConditionalDPP(2)(features, ViewLayout.single(2, 2), text=text)
    assert pick.indices.tolist() == [[0, 2]]
    # At 30° from the text's own token the near one wins: r̃² sin² = 0.81 · 0.25 against 0.065 · 1.
    features = at_angles(0, 30, 90, 110)[None]
    assert ConditionalDPP(2)(features, ViewLayout.single(2, 2), text=text).indices.tolist() == [[0, 1]]


def test_relevance_is_the_mean_over_real_text_tokens_scaled_to_one():
    features, text = at_angles(0, 60, 90)[None], at_angles(0, 180, 90)[None]
    text[0, 1] = torch.nan
    mask = torch.tensor([[True, False, True]])
    weight = conditional_weight(features, text, mask, ViewLayout.single(1, 3))
    # Means of (cos, sin): 0.5, 0.683, 0.5.
    torch.testing.assert_close(weight, torch.tensor([[0.0, 1.0, 0.0]]), atol=1e-5, rtol=0)


def test_constant_relevance_counts_as_one():
    features = torch.cat([torch.eye(3), torch.eye(3)])[None]
    weight = conditional_weight(features, torch.ones(1, 1, 3), None, ViewLayout.single(2, 3))
    assert weight.tolist() == [[1.0] * 6]


def test_equal_tokens_across_the_text_are_equally_relevant():
    """Their cosine is 0 but for rounding, which must not be scaled to one."""
    layout = ViewLayout.single(5, 6)
    token, text = torch.randn(2, 48, generator=torch.Generator().manual_seed(0))
    text = text - token * (text @ token) / (token @ token)
    features = token.expand(1, 30, 48).contiguous()
    assert torch.equal(conditional_weight(features, text[None, None], None, layout), torch.ones(1, 30))
    # What differs by more than rounding is relevance.
    features[0, 7] += 1e-4 * text
    assert conditional_weight(features, text[None, None], None, layout)[0].argmax() == 7


@pytest.mark.parametrize("seed", range(2))
def test_greedy_against_determinants(seed):
    features = torch.randn(14, 9, generator=torch.Generator().manual_seed(seed))
    weight = torch.linspace(0.2, 1.0, 14)
    kernel = cosine_matrix(features) * weight * weight[:, None]
    exact, chosen = kernel.double(), []
    while len(chosen) < 7:
        rest = [i for i in range(14) if i not in chosen]
        chosen.append(max(rest, key=lambda i: torch.linalg.det(exact[[*chosen, i]][:, [*chosen, i]]).item()))
    assert greedy_map(kernel, 7, 9, NONE).tolist() == chosen


def test_beyond_the_rank_the_choice_starts_again_on_the_rest():
    # In a plane two tokens span everything. 0° and 90° go first; of 10°, 20°, 95° the first one, then the one most
    # across it: 95°, 85° apart, not 20°, which index order would take.
    features = at_angles(0, 90, 10, 20, 95)
    assert greedy_map(cosine_matrix(features), 5, 2, NONE).tolist() == [0, 1, 2, 4, 3]
    assert ConditionalDPP(4, relevance="uniform")(features[None], ViewLayout.single(1, 5)).indices.tolist() == [
        [0, 1, 2, 4]
    ]


@pytest.mark.parametrize("pinned", [0, 2])
def test_every_start_is_the_greedy_choice_of_what_is_left(pinned):
    features = torch.randn(17, 4, generator=torch.Generator().manual_seed(5))
    kernel = cosine_matrix(features) * torch.linspace(0.3, 1.0, 17) * torch.linspace(0.3, 1.0, 17)[:, None]
    exact, chosen = kernel.double(), list(range(pinned))
    span = list(chosen)
    while len(chosen) < 15:
        if len(span) == 4:
            span = []
        rest = [i for i in range(17) if i not in chosen]
        best = max(rest, key=lambda i: torch.linalg.det(exact[[*span, i]][:, [*span, i]]).item())
        span, chosen = [*span, best], [*chosen, best]
    assert greedy_map(kernel, 15, 4, torch.arange(pinned)).tolist() == chosen


def test_copies_are_spent_before_the_rank_is_reached():
    # Two directions of five: after one token of either, every gain is 0.
    features = torch.eye(5)[[0, 0, 1, 1, 0]]
    assert greedy_map(cosine_matrix(features), 4, 5, NONE).tolist() == [0, 2, 1, 3]


def test_tokens_without_relevance_come_last_in_index_order():
    kernel = torch.zeros(4, 4)
    kernel[2, 2] = 1.0
    assert greedy_map(kernel, 4, 4, NONE).tolist() == [2, 0, 1, 3]


def test_pinned_tokens_are_picked_first():
    layout = ViewLayout(views=[View(1, 2), View(1, 1, pinned=True)])
    features = at_angles(0, 80, 5)[None]
    assert ConditionalDPP(2, relevance="uniform")(features, layout).indices.tolist() == [[1, 2]]


def test_text_is_needed_unless_relevance_is_uniform():
    features = torch.randn(1, 4, 3)
    with pytest.raises(ValueError, match="needs `text`"):
        ConditionalDPP(2)(features, ViewLayout.single(2, 2))
    with pytest.raises(ValueError, match="relevance must be one of text, uniform"):
        ConditionalDPP(2, relevance="none")


@pytest.mark.parametrize("parts", [2, 3])
@pytest.mark.parametrize("k", [1, 7, 30])
def test_parts_choose_their_share_by_themselves(parts, k):
    draws = torch.Generator().manual_seed(0)
    features, text = torch.randn(1, 30, 12, generator=draws), torch.randn(1, 4, 12, generator=draws)
    layout = ViewLayout.single(5, 6)
    weight = conditional_weight(features, text, None, layout)[0]
    expected = set()
    for part in range(min(parts, k)):
        own = torch.arange(part, 30, parts)
        kernel = cosine_matrix(features[0, own]) * weight[own] * weight[own, None]
        expected |= set(own[greedy_map(kernel, len(range(part, k, parts)), 12, NONE)].tolist())
    kept = ConditionalDPP(k, parts=parts)(features, layout, text=text).indices
    assert set(kept[0].tolist()) == expected
    assert len(expected) == k


def test_parts_keep_every_pinned_token():
    layout = ViewLayout(views=[View(2, 3), View(2, 2, pinned=True)])
    features = torch.randn(1, 10, 12, generator=torch.Generator().manual_seed(0))
    kept = ConditionalDPP(6, relevance="uniform", parts=2)(features, layout).indices[0].tolist()
    assert len(kept) == 6
    assert set(kept) >= {6, 7, 8, 9}


def test_no_parts_are_refused():
    with pytest.raises(ValueError, match=r"parts.*1.*got 0"):
        ConditionalDPP(4, parts=0)
