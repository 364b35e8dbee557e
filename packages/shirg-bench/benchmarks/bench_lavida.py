"""What the prefix cache buys: prefill, step and whole answer of a mid-size random LLaDA (8 layers, width 512).

Every timing comes after a check that the two ways of computing the same thing agree. The ratio is one of thread times
on one thread, which other work on the machine disturbs least.
"""

import statistics

import pytest
import torch

from shirg_core.clock import Clock
from shirg_lavida.language.backbone import Backbone, BackboneConfig
from shirg_lavida.language.cache import LayerCache, PrefixCache
from shirg_lavida.sampling.denoiser import denoise_logits
from shirg_lavida.sampling.sampler import sample

VOCAB, WIDTH, ANSWER = 32_768, 512, 32
MASK, EOS = VOCAB - 1, VOCAB - 2
BUDGETS = [512, 768, 980, 1024, 2304, 3645]
"""Prefix lengths: kept tokens, the pooled baseline before newlines, and everything (one 672² view; five 384² views)."""


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    config = BackboneConfig(WIDTH, n_heads=8, n_layers=8, mlp_hidden_size=1536, vocab_size=VOCAB)
    return Backbone(config).eval().requires_grad_(requires_grad=False)


def prefix(tokens):
    return torch.randn(1, tokens, WIDTH, generator=torch.Generator().manual_seed(tokens))


def positions(start, length):
    return torch.arange(start, start + length)[None]


def random_cache(model, tokens):
    """A cache of the right shape; a step's time does not depend on what is in it."""
    config = model.config
    kv = torch.randn(1, config.kv_heads, tokens, config.head_dim)
    return PrefixCache(tuple(LayerCache.write(kv, kv, None, ANSWER) for _ in range(config.n_layers)))


@pytest.fixture(scope="module")
def parity(model):
    """Cached and uncached prefix attention agree at full size, or nothing here is timed."""
    ids = torch.full((1, ANSWER), MASK)
    ids[0, ::3] = 7
    cached, uncached = (denoise_logits(model, prefix(1000), ids, cache=c) for c in (True, False))
    error = float((cached - uncached).abs().max() / uncached.abs().max())
    assert error <= 1e-5
    return error


@pytest.mark.parametrize("tokens", [512, 1024, 2304])
def test_prefill(benchmark, model, parity, tokens):
    x, where = prefix(tokens), positions(0, tokens)
    cache = benchmark.pedantic(
        model.prefill, args=(x, where), kwargs={"answer_length": ANSWER}, rounds=3, warmup_rounds=1
    )
    benchmark.extra_info.update(parity=parity, kv_bytes=cache.bytes)


@pytest.mark.parametrize("tokens", BUDGETS)
def test_step(benchmark, model, parity, tokens):
    cache, x = random_cache(model, tokens), prefix(ANSWER)
    benchmark.pedantic(model.denoise, args=(x, positions(tokens, ANSWER), cache), rounds=15, warmup_rounds=2)
    benchmark.extra_info.update(parity=parity, kv_bytes=cache.bytes)


@pytest.mark.parametrize("tokens", [1000])
def test_whole_answer_is_at_least_3_9_times_faster_cached(benchmark, track, model, parity, tokens):
    x = prefix(tokens)
    options = {"mask_id": MASK, "eos_id": EOS, "answer_length": ANSWER, "step_ratio": 0.5}

    def cached():
        return sample(model, x, **options, clock=Clock())

    def full():
        return sample(model, x, **options, attention="full", cache=False)

    few = {**options, "step_ratio": 1 / 8}
    (ours,), (plain,) = (sample(model, x, **few, cache=cache) for cache in (True, False))
    assert torch.equal(ours.ids, plain.ids)
    (result,) = cached()
    assert result.nfe == 16
    track("answer-cached-over-full", cached, full, bar=1 / 3.9, pairs=2)
    benchmark.extra_info.update(
        parity=parity,
        kv_bytes=result.kv_bytes,
        nfe=result.nfe,
        prefill_ms=result.timings_ms["prefill"],
        step_ms=statistics.median(result.step_ms),
    )
