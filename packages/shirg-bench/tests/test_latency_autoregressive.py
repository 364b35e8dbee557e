"""The autoregressive twin: the same weights, the same numbers under a causal mask, and transformers' own answer."""

import pytest
import torch

from shirg_bench.latency.autoregressive import greedy, twin
from shirg_bench.latency.plan import Plan
from shirg_bench.latency.variant import Variant
from shirg_bench.latency.versus import versus
from shirg_lavida.families.dream import DREAM
from shirg_lavida.testing import tiny_lavida

from .latency_setup import ticking, tiny_subject

MODELS = {"plain": {}, "grouped": {"n_kv_heads": 2}, "tied": {"weight_tying": True}, "dream": {"family": DREAM}}


@pytest.fixture(params=MODELS.values(), ids=MODELS)
def model(request):
    return tiny_lavida(side=5, **request.param)


def test_a_causal_lavida_is_its_twin(model):
    x = torch.randn(1, 12, 64, generator=torch.Generator().manual_seed(0))
    causal = torch.ones(12, 12).tril().bool()
    ours = model.backbone.logits(model.backbone.forward(x, torch.arange(12)[None], causal))
    torch.testing.assert_close(twin(model)(inputs_embeds=x).logits, ours)


def test_the_twin_sees_what_lavida_sees(model):
    pixels = torch.randn(1, 3, model.config.vision.image_size, model.config.vision.image_size)
    (theirs,) = twin(model).model.get_image_features(pixels).pooler_output
    torch.testing.assert_close(theirs, model.projector(model.tower(pixels).features)[0])


def test_weights_are_shared_all_but_the_newline(model):
    ours = {p.data_ptr(): p.numel() for p in model.parameters()}
    theirs = {p.data_ptr(): p.numel() for p in twin(model).parameters()}
    assert {*ours} - {*theirs} == {model.image_newline.data_ptr()}
    assert {*theirs} <= {*ours}


def test_greedy_is_what_generate_does(model):
    llava, x = twin(model), torch.randn(1, 9, 64, generator=torch.Generator().manual_seed(1))
    given = greedy(llava, x, 6, ticking())
    expected = llava.generate(inputs_embeds=x, max_new_tokens=6, min_new_tokens=6, do_sample=False)
    assert torch.equal(given.ids, expected)
    assert (given.prefill_ms, given.token_ms, given.answer_ms) == (1, (1,) * 5, 6)


def test_a_pooler_has_no_twin():
    with pytest.raises(ValueError, match="LLaVA's projector is mlp2x_gelu, this model has 'pooler'"):
        twin(tiny_lavida(side=6, mm_projector_type="pooler"))


def test_the_twin_leaves_randomness_alone(model):
    before = torch.random.get_rng_state()
    twin(model)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_one_line_a_number_of_steps():
    subject, told = tiny_subject(), []
    names = [Variant.parse(name) for name in ("pooling", "v3-9")]
    *_, rows = versus(subject, names, Plan(rounds=3, answer_tokens=8), told.append)
    assert [(row["variant"], row["nfe"]) for row in rows] == [
        (name, nfe) for name in ("pooling", "v3-9") for nfe in (8, 4, 2, 1)
    ]
    assert len(told) == 2 * 4
    for row in rows:
        assert row["rounds"] == 3
        assert 0 < row["autoregressive_token_ms"] < row["autoregressive_ms"]
        # What both pay, the image, pulls the speed-up towards 1: in every round, so in the median of an odd number of
        # rounds. (Of an even one it is a mean, where speed-ups above and below 1 may cancel.)
        assert abs(row["speedup_end_to_end"] - 1) <= abs(row["speedup"] - 1) + 1e-9
