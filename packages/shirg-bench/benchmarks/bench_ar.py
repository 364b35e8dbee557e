"""Diffusion against autoregression at the same size: transformers' LLaVA, holding the very weights of a random LaViDa.

Same prefix, same answer length, both with their key-value caches; 32 answer tokens in 16 steps against 32 tokens one at
a time. The pairs are interleaved, on one thread, in thread time. What comes out is the language model's share of an
answer: tower and projector cost both the same.
"""

import pytest
import torch

from shirg_bench.latency.autoregressive import greedy, twin
from shirg_bench.latency.random_models import RANDOM, random_pipeline
from shirg_core.clock import Clock
from shirg_lavida.sampling.sampler import sample

PREFIX, ANSWER, STEPS, PAIRS = 1000, 32, 16, 3


@pytest.fixture(scope="module")
def model():
    return random_pipeline(RANDOM["random-small"]).model


@torch.no_grad()
def test_half_as_many_steps_as_tokens(benchmark, track, model):
    llava, now = twin(model), Clock(work=True).now
    prefix = torch.randn(1, PREFIX, model.config.language.d_model, generator=torch.Generator().manual_seed(0))
    # Both are one network: under a causal mask the diffusion model is the autoregressive one, or nothing here is timed.
    short, causal = prefix[:, :64], torch.ones(64, 64).tril().bool()
    ours = model.backbone.logits(model.backbone.forward(short, torch.arange(64)[None], causal))
    torch.testing.assert_close(ours, llava(inputs_embeds=short).logits)

    ids = {"mask_id": model.config.mask_token_id, "eos_id": model.config.eos_token_id}

    def diffusion():
        return sample(model.backbone, prefix, **ids, answer_length=ANSWER, steps=STEPS)

    def autoregressive():
        return greedy(llava, prefix, ANSWER, now)

    assert diffusion()[0].nfe == STEPS
    assert autoregressive().ids.shape == (1, ANSWER)
    measured = track("answer-half-steps-over-autoregressive", diffusion, autoregressive, pairs=PAIRS)
    benchmark.extra_info.update(nfe=STEPS, answer_tokens=ANSWER, speedup_over_autoregressive=1 / measured.ratio)
