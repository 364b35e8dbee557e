import pytest
import torch

from shirg_lavida.language.attention import attention_received
from shirg_lavida.prompt.context import answer_context
from shirg_lavida.pruning.fastv import FastV
from shirg_lavida.pruning.images import best_tokens, compacted

from .language_models import EOS, MASK, backbone, image_prefix, prefix, sample


def test_layers_after_k_cache_only_the_kept_tokens():
    model, method = backbone(n_layers=4), FastV(0.25, layer=2)
    cache = method.prefill(model, answer_context(image_prefix(2), 4, 4096))
    assert [layer.prefix_length for layer in cache.layers] == [20, 20, 8, 8]


def test_keeps_what_layer_k_attends_to_at_its_own_positions():
    model, context = backbone(n_layers=2), answer_context(image_prefix(), 4, 4096)
    cache = FastV(0.5, layer=1).prefill(model, context)
    q, k, _ = model.blocks[0].project(context.embeddings, model.rotary(context.positions))
    index, _ = compacted(best_tokens(attention_received(q, k, None), context.prefix, 0.5))
    whole = model.prefill(context.embeddings, context.positions, answer_length=4)
    torch.testing.assert_close(cache.layers[1].keys, whole.layers[1].gathered(index).keys)


def test_keeping_everything_changes_nothing_and_no_step_changes_the_cache():
    model, x, options = backbone(), image_prefix(), {"mask_id": MASK, "eos_id": EOS, "answer_length": 8}
    all_kept = sample(model, x, **options, pruning=FastV(1.0, layer=1), verify_cache=True)
    assert torch.equal(all_kept.ids, sample(model, x, **options).ids)
    half = sample(model, x, **options, pruning=FastV(0.5, layer=1), verify_cache=True)
    assert half.kv_bytes == all_kept.kv_bytes * (20 + 12) // 40


@pytest.mark.parametrize("layer", [0, 2])
def test_layer_out_of_range(layer):
    with pytest.raises(ValueError, match=rf"1 … 1, got {layer}"):
        FastV(0.5, layer=layer).prefill(backbone(), answer_context(image_prefix(), 4, 4096))


def test_needs_a_prefix_that_says_where_its_tokens_stand():
    with pytest.raises(ValueError, match="says where its tokens stand"):
        FastV(0.5, layer=1).prefill(backbone(), answer_context(prefix(), 4, 4096))
