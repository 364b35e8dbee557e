"""The diffusion loss: by hand, against the released code's values, and against full enumeration."""

import itertools
import math
from contextlib import contextmanager

import pytest
import torch
from torch.nn import functional as F

from shirg_lavida.prompt.prefix import Prefix
from shirg_lavida.testing import EOS_ID, MASK_ID, tiny_dream, tiny_lavida
from shirg_train.loss import diffusion_nll, normaliser
from shirg_train.noise import Noise, forward_process
from shirg_train.validation import fixed_times, validation_nll

ATTENTION = ("prefix", "full")
# The released LaViDa code's loss for `released_case`, by prefix_lm = True and False.
RELEASED = {"prefix": 5.819843, "full": 5.808604}
# LaViDa-Dream's, which trains under full attention only.
RELEASED_DREAM = 5.513377


def fill(backbone):
    """Weights that depend on nothing but the parameters' names and shapes."""
    for number, (_, parameter) in enumerate(sorted(backbone.named_parameters())):
        generator = torch.Generator().manual_seed(number)
        noise = torch.randn(parameter.shape, generator=generator)
        parameter.data = noise / parameter.shape[-1] ** 0.5 if parameter.dim() > 1 else 1 + 0.1 * noise
    return backbone


def released_case():
    generator = torch.Generator().manual_seed(1)
    prefix = torch.randn(2, 6, 64, generator=generator)
    answer = torch.randint(0, 200, (2, 5), generator=generator)
    answer[1, 3:] = EOS_ID
    masked = torch.tensor([[1, 0, 1, 0, 0], [0, 1, 0, 0, 1]]).bool()
    return prefix, answer, Noise(masked, torch.full((2,), 0.4), torch.ones_like(masked))


@pytest.fixture(scope="module")
def backbone():
    return fill(tiny_lavida(side=5).backbone)


@pytest.fixture(scope="module")
def dream():
    return fill(tiny_dream(side=5, num_key_value_heads=2).backbone)


def loss(backbone, prefix, answer, noise, **options):
    return diffusion_nll(backbone, prefix, answer, noise, mask_id=MASK_ID, **options)


@pytest.mark.parametrize("attention", ATTENTION)
def test_equals_released_code_for_the_same_masks(backbone, attention):
    assert float(loss(backbone, *released_case(), attention=attention).mean) == pytest.approx(
        RELEASED[attention], abs=2e-6
    )


def test_equals_dreams_released_code_for_the_same_masks(dream):
    assert float(loss(dream, *released_case(), attention="full").mean) == pytest.approx(RELEASED_DREAM, abs=2e-6)


@pytest.mark.parametrize("family", ["backbone", "dream"])
@pytest.mark.parametrize("attention", ATTENTION)
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("weighting", ["none", "inverse_t"])
def test_equals_the_formula_with_one_forward_per_sample(request, family, attention, padded, weighting):
    backbone = request.getfixturevalue(family)
    plain, answer, noise = released_case()
    mask = torch.tensor([[False, False, True, True, True, True], [True] * 6])
    prefix = Prefix(plain, mask=mask, positions=(mask.cumsum(1) - 1).clamp(min=0)) if padded else plain
    total = 0.0
    for row in range(2):
        own = plain[row : row + 1, 2:] if padded and row == 0 else plain[row : row + 1]
        for hidden, p in ((noise.masked[row], 0.4), (noise.complement[row], 0.6)):
            x = torch.cat([own, backbone.embed(answer[row].masked_fill(hidden, MASK_ID)[None])], dim=1)
            allowed = None
            if attention == "prefix":
                allowed = torch.ones(x.shape[1], x.shape[1]).bool()
                allowed[: own.shape[1], own.shape[1] :] = False
            states = backbone.forward(x, torch.arange(x.shape[1])[None], allowed)[0]
            # Dream's states predict the token that follows.
            states = states[own.shape[1] - 1 : -1] if family == "dream" else states[own.shape[1] :]
            losses = F.cross_entropy(backbone.logits(states), answer[row], reduction="none")[hidden]
            total += float(losses.sum()) / (p if weighting == "inverse_t" else 1)
    nll = loss(backbone, prefix, answer, noise, attention=attention, weighting=weighting)
    assert float(nll.total) == pytest.approx(total, rel=1e-5)
    assert float(nll.normaliser) == (20 if weighting == "inverse_t" else 10)


def test_without_complement_only_masked_tokens_count(backbone):
    prefix, answer, noise = released_case()
    both = loss(backbone, prefix, answer, noise)
    masked = loss(backbone, prefix, answer, noise, complement=False)
    inverted = Noise(noise.complement, 1 - noise.probability, noise.answer)
    others = loss(backbone, prefix, answer, inverted, complement=False)
    assert float(masked.normaliser) == 4
    assert float(others.normaliser) == 6
    torch.testing.assert_close(both.total, masked.total + others.total)


@pytest.mark.parametrize("attention", ATTENTION)
@pytest.mark.parametrize("recompute", [False, True])
def test_gradients_reach_the_prefix_and_do_not_depend_on_recompute(backbone, attention, recompute):
    prefix, answer, noise = released_case()
    gradients = []
    for again in (False, recompute):
        leaf = prefix.clone().requires_grad_()
        loss(backbone, leaf, answer, noise, attention=attention, recompute=again).mean.backward()
        gradients.append(leaf.grad)
    assert gradients[0].abs().sum() > 0
    torch.testing.assert_close(gradients[0], gradients[1], rtol=0, atol=0)


def test_recomputing_draws_the_same_dropout(backbone):
    prefix, answer, noise = released_case()
    plain, gradients = backbone.blocks[0].attn_out, []
    backbone.blocks[0].attn_out = torch.nn.Sequential(plain, torch.nn.Dropout(0.5))
    try:
        for again in (False, True):
            torch.manual_seed(5)
            leaf = prefix.clone().requires_grad_()
            loss(backbone, leaf, answer, noise, recompute=again).mean.backward()
            gradients.append(leaf.grad)
    finally:
        backbone.blocks[0].attn_out = plain
    assert torch.equal(*gradients)


def test_padding_is_a_target(backbone):
    prefix, answer, noise = released_case()
    only_padding = torch.zeros_like(noise.masked)
    only_padding[1, 3:] = True
    nll = loss(backbone, prefix, answer, Noise(only_padding, noise.probability, noise.answer), complement=False)
    assert float(nll.normaliser) == 2
    assert float(nll.total) > 0


def test_all_masked_leaves_a_complement_that_weighs_nothing(backbone):
    prefix, answer, _ = released_case()
    everything = torch.ones(2, 5).bool()
    noise = Noise(everything, torch.ones(2), everything)
    assert math.isfinite(float(loss(backbone, prefix, answer, noise, weighting="inverse_t").total))


def test_wrong_arguments_are_named(backbone):
    prefix, answer, noise = released_case()
    with pytest.raises(ValueError, match=r"\[2, 4\].*\[2, 5\]"):
        loss(backbone, prefix, answer[:, :4], noise)
    with pytest.raises(ValueError, match=r"weighting.*'1/t'"):
        normaliser(noise, weighting="1/t")
    with pytest.raises(ValueError, match="attention"):
        loss(backbone, prefix, answer, noise, attention="causal")


@pytest.fixture(scope="module")
def three_tokens():
    """A vocabulary of 0, end of text (1) and the mask (2); answers of three tokens: eight masks."""
    model = tiny_lavida(side=5, vocab_size=3, embedding_size=3, mask_token_id=2, eos_token_id=1, pad_token_id=1)
    prefix = torch.randn(1, 4, 64, generator=torch.Generator().manual_seed(3))
    return fill(model.backbone), prefix, torch.tensor([[0, 1, 1]])


def enumerated(backbone, prefix, answer, p, weight):
    """E over all masks of Σ_{masked} weight · CE, tokens masked independently with probability p."""
    expected = 0.0
    for bits in itertools.product([False, True], repeat=3):
        masked = torch.tensor([bits])
        noise = Noise(masked, torch.tensor([p]), torch.ones_like(masked))
        total = float(diffusion_nll(backbone, prefix, answer, noise, mask_id=2, complement=False).total)
        expected += p ** sum(bits) * (1 - p) ** (3 - sum(bits)) * total * weight
    return expected


def test_validation_nll_is_the_enumerated_bound(three_tokens):
    backbone, prefix, answer = three_tokens
    times, epsilon, many = 4, 1e-3, 3000
    bound = sum(
        enumerated(backbone, prefix, answer, p, 1 / p)
        for p in ((1 - epsilon) * t + epsilon for t in fixed_times(times))
    )
    everything = torch.ones(many, 3).bool()
    nll = validation_nll(
        backbone,
        prefix.expand(many, -1, -1),
        answer.expand(many, -1),
        everything,
        mask_id=2,
        draws=torch.rand(times, many, 3, generator=torch.Generator().manual_seed(0)),
    )
    assert float(nll.mean) == pytest.approx(bound / (3 * times), rel=0.03)


def test_inverse_t_training_loss_is_unbiased(three_tokens):
    backbone, prefix, answer = three_tokens
    p, many = 0.4, 4000
    everything = torch.ones(many, 3).bool()
    draws = torch.rand(many, 3, generator=torch.Generator().manual_seed(0))
    noise = Noise(draws < p, torch.full((many,), p), everything)
    nll = diffusion_nll(
        backbone, prefix.expand(many, -1, -1), answer.expand(many, -1), noise, mask_id=2, weighting="inverse_t"
    )
    exact = [enumerated(backbone, prefix, answer, q, 1 / q) for q in (p, 1 - p)]
    assert float(nll.mean) == pytest.approx(sum(exact) / 6, rel=0.03)


def test_validation_nll_repeats_with_the_same_draws(backbone):
    prefix, answer, noise = released_case()
    draws = [torch.rand(8, *answer.shape, generator=torch.Generator().manual_seed(seed)) for seed in (5, 5, 6)]
    values = [
        float(validation_nll(backbone, prefix, answer, noise.answer, mask_id=MASK_ID, draws=each).mean)
        for each in draws
    ]
    assert values[0] == values[1] != values[2]


def test_every_row_masks_an_answer_token():
    noise = forward_process(torch.ones(200, 2).bool(), times=torch.zeros(200))
    assert noise.masked.any(dim=1).all()


@contextmanager
def tokens_through(module):
    """How many tokens each call of `module` takes."""
    counts = []
    hook = module.register_forward_hook(lambda _, inputs, __: counts.append(inputs[0].shape[1]))
    try:
        yield counts
    finally:
        hook.remove()


@pytest.mark.parametrize(("family", "read"), [("backbone", 10), ("dream", 11)])
def test_the_last_block_computes_what_is_read(request, family, read):
    backbone = request.getfixturevalue(family)
    with tokens_through(backbone.blocks[0].ff_proj) as first, tokens_through(backbone.blocks[-1].ff_proj) as last:
        loss(backbone, *released_case())
    assert (first, last) == ([6 + 10], [read])


@pytest.mark.parametrize("family", ["backbone", "dream"])
def test_validation_runs_the_prefix_once_for_all_draws(request, family):
    backbone = request.getfixturevalue(family)
    prefix, answer, noise = released_case()
    draws = torch.rand(8, *answer.shape, generator=torch.Generator().manual_seed(5))
    with tokens_through(backbone.blocks[0].ff_proj) as tokens:
        nll = validation_nll(backbone, prefix, answer, noise.answer, mask_id=MASK_ID, draws=draws)
    assert tokens == [6, *[5] * 8]
    expected = torch.zeros(2)
    for t, uniform in zip(fixed_times(8), draws, strict=True):
        p = torch.full((2,), 0.999 * t + 1e-3)
        one = Noise(uniform < p[:, None], p, noise.answer)
        each = loss(backbone, prefix, answer, one, complement=False, weighting="inverse_t")
        expected += torch.stack([each.total.detach(), each.normaliser])
    torch.testing.assert_close(torch.stack([nll.total, nll.normaliser]), expected)
