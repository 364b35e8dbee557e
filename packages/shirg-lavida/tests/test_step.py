import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from shirg_lavida.sampling.answer_ids import ended, fill_after_end
from shirg_lavida.sampling.options import SamplingOptions
from shirg_lavida.sampling.step import settle, surest

from .language_models import EOS, MASK, backbone


@given(st.integers(0, 1000), st.integers(1, 9), st.integers(0, 9))
def test_surest_takes_exactly_the_quota_of_eligible_ones(seed, width, quota):
    generator = torch.Generator().manual_seed(seed)
    sure = torch.randint(-2, 3, (2, width), generator=generator).float()
    sure = sure.masked_fill(sure == -2, float("-inf"))
    eligible = torch.rand(2, width, generator=generator) > 0.4
    take = surest(sure, eligible, torch.tensor([quota, 1]))
    assert not (take & ~eligible).any()
    assert take.sum(dim=1).tolist() == [
        min(q, n) for q, n in zip((quota, 1), eligible.sum(dim=1).tolist(), strict=True)
    ]
    left = eligible & ~take
    for row in range(2):
        if take[row].any() and left[row].any():
            assert sure[row][take[row]].min() >= sure[row][left[row]].max()


def test_ties_go_to_the_lowest_index():
    take = surest(torch.zeros(1, 5), torch.tensor([[False, True, True, True, False]]), torch.tensor([2]))
    assert take.tolist() == [[False, True, True, False, False]]


RULES = [
    {},
    {"remasking": "entropy"},
    {"remasking": "margin"},
    {"remasking": "random"},
    {"temperature": 0.8},
    {"allow_mask_prediction": False},
    {"confidence_threshold": 0.3},
    {"eos_penalty": 0.7},
]


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_logits_of_masked_tokens_only_change_nothing(rule):
    model, hidden = backbone(), torch.randn(2, 12, 32, generator=torch.Generator().manual_seed(0))
    ids = torch.full((2, 12), MASK)
    ids[0, [0, 4, 5]] = 3
    ids[1, 7:] = 9
    for window in ((0, 12), (4, 8)):
        results, probabilities = [], [torch.full((2, 12), float("nan")) for _ in range(2)]
        for compact in (True, False):
            settled_by = SamplingOptions(generator=torch.Generator().manual_seed(1), **rule)
            quota, written = torch.tensor([2, 1]), probabilities[compact]
            results.append(
                settle(
                    model,
                    hidden,
                    ids,
                    quota,
                    window,
                    settled_by,
                    mask_id=MASK,
                    eos_id=9,
                    compact=compact,
                    probabilities=written,
                )
            )
        assert torch.equal(*results)
        assert torch.allclose(*probabilities, equal_nan=True)
        written = ~probabilities[0].isnan()
        assert written[results[0] != ids].all()
        assert not written[ids != MASK].any()
        changed = results[0] != ids
        assert not changed[:, : window[0]].any()
        assert not changed[:, window[1] :].any()
        assert not changed[ids != MASK].any()


def test_every_token_sure_enough_is_settled_at_once():
    model, hidden = backbone(), torch.randn(1, 12, 32, generator=torch.Generator().manual_seed(0))
    ids, quota = torch.full((1, 12), MASK), torch.tensor([1])
    logits = model.logits(hidden)
    logits[..., MASK] = float("-inf")
    sure = logits.softmax(dim=-1).amax(dim=-1)
    for threshold, expected in ((1.0, 1), (0.3, int((sure >= 0.3).sum())), (1e-6, 12)):
        rule = SamplingOptions(confidence_threshold=threshold, allow_mask_prediction=False)
        settled = settle(model, hidden, ids, quota, (0, 12), rule, mask_id=MASK, compact=True)
        assert int((settled != MASK).sum()) == expected
    assert 1 < int((sure >= 0.3).sum()) < 12


def test_end_of_text_counts_once_nothing_before_it_is_masked():
    waiting = torch.tensor([[5, MASK, EOS, MASK]])
    done = torch.tensor([[5, 6, EOS, MASK]])
    assert not ended(waiting, MASK, EOS)
    assert ended(done, MASK, EOS)
    assert not ended(torch.cat([waiting, done]), MASK, EOS)
    assert fill_after_end(torch.cat([waiting, done]), MASK, EOS).tolist() == [[5, MASK, EOS, MASK], [5, 6, EOS, EOS]]
