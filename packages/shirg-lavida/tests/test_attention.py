import torch

from shirg_lavida.language.attention import attend, attention_received, attention_weights


def qkv(queries=300, keys=300, kv_heads=2):
    generator = torch.Generator().manual_seed(0)
    return (torch.randn(2, h, n, 8, generator=generator) for h, n in ((4, queries), (kv_heads, keys), (kv_heads, keys)))


def test_weights_are_those_attention_uses():
    q, k, v = qkv()
    allowed = torch.rand(2, 1, 300, 300) > 0.5
    weights = attention_weights(q, k, allowed)
    torch.testing.assert_close(weights @ v.repeat_interleave(2, dim=1), attend(q, k, v, allowed), rtol=1e-4, atol=1e-5)


def test_received_is_the_mean_over_heads_and_queries():
    q, k, _ = qkv()
    expected = attention_weights(q, k, None).mean(dim=(1, 2))
    torch.testing.assert_close(attention_received(q, k, None), expected)
    torch.testing.assert_close(expected.sum(dim=1), torch.ones(2))


def test_padding_neither_pays_nor_receives():
    q, k, _ = qkv()
    valid = torch.arange(300).expand(2, -1) >= torch.tensor([[0], [120]])
    received = attention_received(q, k, valid)
    assert (received[1, :120] == 0).all()
    alone = attention_received(q[1:, :, 120:], k[1:, :, 120:], None)
    torch.testing.assert_close(received[1:, 120:], alone)
