import pytest
import torch

from shirg_lavida.language.cache import LayerCache, PrefixCache

from .language_models import answer, backbone, prefix


def filled(batch=2, length=10, room=4, **changes):
    model = backbone(**changes)
    where = torch.arange(length).expand(batch, length)
    return model, model.prefill(prefix(batch, length), where, answer_length=room)


def test_bytes_count_the_prefix_only():
    _, cache = filled(n_kv_heads=2)
    assert cache.bytes == 2 * 2 * 2 * 2 * 10 * 8 * 4  # layers, keys and values, batch, heads, tokens, channels, bytes
    assert [layer.prefix_length for layer in cache.layers] == [10, 10]


@pytest.mark.parametrize("tokens", [512, 768, 980, 1024, 2304, 3645])
def test_bytes_at_the_size_of_the_8b_model(tokens):
    # 32 layers of 32 heads of 128 channels in bfloat16: 512 KiB a token. Meta tensors: no memory needed.
    with torch.device("meta"):
        kv = torch.empty(1, 32, tokens, 128, dtype=torch.bfloat16)
        cache = PrefixCache(tuple(LayerCache.write(kv, kv, None, 32) for _ in range(32)))
    assert cache.bytes == tokens * 512 * 1024


def test_steps_write_behind_the_prefix_only():
    model, cache = filled()
    digest, pointer = cache.digest(), cache.layers[0].keys.data_ptr()
    for seed in range(3):
        model.denoise(model.embed(answer(2, 4, seed)), torch.arange(10, 14).expand(2, 4), cache)
        assert cache.digest() == digest
    assert cache.layers[0].keys.data_ptr() == pointer
    assert cache.layers[0].keys[:, :, 10:].abs().sum() > 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_digest_sees_a_single_bit(dtype):
    kv = torch.zeros(1, 1, 3, 2, dtype=dtype)
    cache = PrefixCache((LayerCache.write(kv, kv, None, 1),))
    before = cache.digest()
    cache.layers[0].values[0, 0, 1, 1] = -0.0
    assert cache.digest() != before


def test_gathered_is_new_and_keeps_scratch_and_padding():
    valid = torch.tensor([[False, True, True, True]])
    kv = torch.arange(4.0).view(1, 1, 4, 1)
    layer = LayerCache.write(kv, -kv, valid, answer_length=2)
    kept = layer.gathered(torch.tensor([[0, 2, 3]]))
    assert kept.keys.flatten().tolist() == [0, 2, 3, 0, 0]
    assert kept.values.flatten().tolist() == [0, -2, -3, 0, 0]
    assert kept.prefix_length == 3
    assert kept.mask is not None
    assert kept.mask.flatten().tolist() == [False, True, True, True, True]
    assert layer.keys.flatten().tolist() == [0, 1, 2, 3, 0, 0]
    assert kept.keys.data_ptr() != layer.keys.data_ptr()
