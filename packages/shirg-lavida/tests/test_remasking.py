import math

import pytest
import torch

from shirg_lavida.sampling.remasking import confidence, predict


def exact(logits, chosen, remasking):
    """What upstream ranks by, in float64."""
    p = logits.double().softmax(dim=-1)
    if remasking == "low_confidence":
        return p.gather(-1, chosen[..., None])[..., 0]
    if remasking == "entropy":
        return (p * (p + 1e-10).log()).sum(dim=-1)
    top = p.topk(2).values
    return top[..., 0] - top[..., 1]


@pytest.mark.parametrize("remasking", ["low_confidence", "entropy", "margin"])
@pytest.mark.parametrize("scale", [0.1, 3.0, 10.0])
def test_ranks_as_float64_does(remasking, scale):
    logits = scale * torch.randn(400, 300, generator=torch.Generator().manual_seed(0))
    chosen = logits.argmax(dim=-1)
    ours, truth = confidence(logits, chosen, remasking), exact(logits, chosen, remasking)
    value = ours.double() if remasking == "entropy" else ours.double().exp()
    torch.testing.assert_close(value, truth, rtol=2e-5, atol=1e-9)
    order = truth.argsort()
    assert (ours[order].diff() >= -1e-5 * ours[order][1:].abs().clamp(min=1e-6)).all()


@pytest.mark.parametrize("remasking", ["low_confidence", "margin"])
def test_near_certainty_is_still_ranked(remasking):
    # In float32 every one of these probabilities is 1.0.
    gaps = torch.tensor([20.0, 21.0, 22.0, 25.0, 30.0])
    logits = torch.zeros(5, 4)
    logits[:, 2] = gaps
    sure = confidence(logits, logits.argmax(dim=-1), remasking)
    assert (sure.diff() > 0).all()
    assert (logits.softmax(dim=-1).amax(dim=-1) == 1).all()


def test_low_confidence_is_the_chosen_tokens_not_the_best():
    logits = torch.tensor([[math.log(0.7), math.log(0.2), math.log(0.1)]])
    sure = confidence(logits, torch.tensor([1]), "low_confidence")
    assert sure.exp().item() == pytest.approx(0.2, rel=1e-5)


def test_values_by_hand():
    logits = torch.tensor([[0.5, 0.3, 0.2]]).log()
    assert confidence(logits, torch.tensor([0]), "margin").exp().item() == pytest.approx(0.2, rel=1e-5)
    entropy = sum(p * math.log(p) for p in (0.5, 0.3, 0.2))
    assert confidence(logits, torch.tensor([0]), "entropy").item() == pytest.approx(entropy, rel=1e-5)


def test_a_banned_token_carries_no_probability():
    logits = torch.tensor([[2.0, 1.0, float("-inf")]])
    for remasking in ("low_confidence", "entropy", "margin"):
        banned = confidence(logits, torch.tensor([0]), remasking)
        torch.testing.assert_close(banned, confidence(logits[:, :2], torch.tensor([0]), remasking))


def test_temperature_samples_the_tempered_softmax():
    logits = torch.tensor([1.0, 0.0, -1.0])
    uniform = torch.rand(40_000, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    drawn = predict(logits.expand(40_000, 3), 0.5, uniform).bincount(minlength=3) / 40_000
    torch.testing.assert_close(drawn, (logits / 0.5).softmax(dim=-1), atol=0.01, rtol=0)


def test_bad_input():
    with pytest.raises(ValueError, match="entrophy"):
        confidence(torch.zeros(1, 3), torch.zeros(1, dtype=torch.long), "entrophy")
    with pytest.raises(ValueError, match="uniform draws"):
        predict(torch.zeros(1, 3), 0.5)
