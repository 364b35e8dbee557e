"""Attention received in a layer with heads, beside maps that are held whole."""

import pytest
import torch

from shirg_core.scores.heads import QUERY_BLOCK, layer_index, received_from_heads


def maps(query, key, scale, mask=None):
    """`[V, H, T, T]` in float64."""
    key = key.double().repeat_interleave(query.shape[1] // key.shape[1], dim=1)
    logits = query.double() @ key.transpose(2, 3) * scale
    if mask is not None:
        logits = logits.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else logits + mask
    return logits.softmax(dim=-1)


@pytest.mark.parametrize("kind", ["none", "bool, one for all", "added, each its own"])
@pytest.mark.parametrize("tokens", [1, QUERY_BLOCK, 2 * QUERY_BLOCK + 7])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
def test_received_attention_is_the_column_means_of_the_maps(tokens, kind, dtype):
    draw = torch.Generator().manual_seed(0)
    query = torch.randn(2, 6, tokens, 8, generator=draw).to(dtype)
    key = torch.randn(2, 3, tokens, 8, generator=draw).to(dtype)
    blocked = torch.rand(2, 1, tokens, tokens, generator=draw) < 0.3
    blocked[..., 0] = False
    mask = {"none": None, "bool, one for all": ~blocked[:1]}.get(kind, blocked * -1e9)
    with torch.autocast("cpu", torch.bfloat16):
        found = received_from_heads(query, key, scale=0.7, mask=mask)
    expected = maps(query, key, 0.7, mask)
    torch.testing.assert_close(found.mean, expected.mean(dim=(1, 2)).float(), rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(found.first, expected[:, :, 0].mean(dim=1).float(), rtol=1e-5, atol=1e-7)


def test_no_map_is_held_for_all_queries_or_all_heads_of_all_views(monkeypatch):
    shapes, softmax = [], torch.Tensor.softmax
    monkeypatch.setattr(torch.Tensor, "softmax", lambda x, dim: (shapes.append(tuple(x.shape)), softmax(x, dim=dim))[1])
    received_from_heads(torch.zeros(2, 4, 150, 8), torch.zeros(2, 4, 150, 8), scale=1.0)
    assert shapes == 2 * [(4, QUERY_BLOCK, 150), (4, QUERY_BLOCK, 150), (4, 150 - 2 * QUERY_BLOCK, 150)]


def test_layers_count_from_either_end():
    assert [layer_index(layer, 12) for layer in (-2, 10, 0, -12)] == [10, 10, 0, 0]
    assert layer_index(-2, 27, runs=26) == 25
    for layer, runs in ((12, 12), (-13, 12), (-1, 11), (11, 11)):
        limit = rf"in \[-12, {runs - 12}\) or \[0, {runs}\), got {layer}"
        with pytest.raises(ValueError, match=f"attention_layer must be {limit}"):
            layer_index(layer, 12, runs=runs)
    for layer in (True, 1.0, "2"):
        with pytest.raises(ValueError, match=f"attention_layer must be an integer, got {layer!r}"):
            layer_index(layer, 12)
