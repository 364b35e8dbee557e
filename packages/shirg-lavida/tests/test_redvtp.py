"""RedVTP: `Rerank` on a prefix that holds every token."""

import pytest
import torch

from shirg_lavida.prompt.context import answer_context
from shirg_lavida.pruning.rerank import Rerank
from shirg_lavida.sampling.denoiser import Denoiser
from shirg_lavida.sampling.later import importance_of

from .language_models import EOS, MASK, backbone, image_prefix, sample

OPTIONS = {"mask_id": MASK, "eos_id": EOS, "answer_length": 8}


def test_importance_is_the_attention_of_still_masked_answer_tokens():
    model, context = backbone(), answer_context(image_prefix(), 3, 4096)
    cache = Denoiser.cached(model, context).require_cache()
    paid = torch.zeros(1, 3, 20)
    paid[0, 0, 5] = 1.0  # settled by the first step: no say
    paid[0, 1, 9] = 0.3
    paid[0, 2, 11] = 0.2
    importance = importance_of(paid, torch.tensor([[False, True, True]]))
    kept = Rerank(2).rewrite(model, context, cache, importance).cache
    expected = cache.gathered(torch.tensor([[0, 1, 9, 11, 18, 19]]))
    assert torch.equal(kept.layers[1].values, expected.layers[1].values)


def test_the_first_step_reads_everything_and_later_ones_the_rest():
    model, x, seen, pruned = backbone(), image_prefix(2), [], []
    plain = sample(model, x, **OPTIONS, on_step=lambda _, ids: seen.append(ids))
    method = Rerank(0.25)
    result = sample(model, x, **OPTIONS, pruning=method, verify_cache=True, on_step=lambda _, ids: pruned.append(ids))
    assert torch.equal(seen[0], pruned[0])
    assert result.kv_bytes == plain.kv_bytes * 8 // 20
    assert result.nfe == plain.nfe
    assert not torch.equal(result.ids, plain.ids)


def test_keeping_everything_changes_nothing():
    model, x = backbone(), image_prefix()
    kept = sample(model, x, **OPTIONS, pruning=Rerank(1.0))
    assert torch.equal(kept.ids, sample(model, x, **OPTIONS).ids)


def test_needs_a_cache():
    with pytest.raises(ValueError, match="cache=True"):
        sample(backbone(), image_prefix(), **OPTIONS, cache=False, pruning=Rerank(0.5))
