import pytest
import torch

from shirg_lavida.language.attention import attention_received
from shirg_lavida.prompt.context import answer_context
from shirg_lavida.pruning.fastv import FastV
from shirg_lavida.pruning.protocol import keep_top

from .language_models import EOS, MASK, backbone, prefix, sample

VISUAL = (torch.arange(20) >= 2) & (torch.arange(20) < 18)


def test_layers_after_k_cache_only_the_kept_tokens():
    model, method = backbone(n_layers=4), FastV(VISUAL.expand(2, -1), keep=0.25, layer=2)
    cache = method.prefill(model, answer_context(prefix(2), 4, 4096))
    assert [layer.prefix_length for layer in cache.layers] == [20, 20, 8, 8]


def test_keeps_what_layer_k_attends_to_at_its_own_positions():
    model, context = backbone(n_layers=2), answer_context(prefix(), 4, 4096)
    cache = FastV(VISUAL[None], keep=0.5, layer=1).prefill(model, context)
    q, k, _ = model.blocks[0].project(context.embeddings, model.rotary(context.positions))
    index = keep_top(attention_received(q, k, None), VISUAL[None], 0.5)
    whole = model.prefill(context.embeddings, context.positions, answer_length=4)
    torch.testing.assert_close(cache.layers[1].keys, whole.layers[1].gathered(index).keys)


def test_keeping_everything_changes_nothing_and_no_step_changes_the_cache():
    model, x, options = backbone(), prefix(), {"mask_id": MASK, "eos_id": EOS, "answer_length": 8}
    all_kept = sample(model, x, **options, pruning=FastV(VISUAL[None], keep=1.0, layer=1), verify_cache=True)
    assert torch.equal(all_kept.ids, sample(model, x, **options).ids)
    half = sample(model, x, **options, pruning=FastV(VISUAL[None], keep=0.5, layer=1), verify_cache=True)
    assert half.kv_bytes == all_kept.kv_bytes * (20 + 12) // 40


@pytest.mark.parametrize("layer", [0, 2])
def test_layer_out_of_range(layer):
    with pytest.raises(ValueError, match=rf"1 … 1, got {layer}"):
        FastV(VISUAL[None], layer=layer).prefill(backbone(), answer_context(prefix(), 4, 4096))
