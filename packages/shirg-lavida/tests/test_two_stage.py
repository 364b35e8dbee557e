from dataclasses import replace

import pytest
import torch

from shirg_core.layout import ViewLayout
from shirg_core.selection import Selection
from shirg_lavida.language.cache import LayerCache
from shirg_lavida.prompt.context import answer_context
from shirg_lavida.pruning.rerank import Rerank
from shirg_lavida.pruning.two_stage import TwoStage, fine_tokens

from .later_setup import MODEL, ids_of, prefix

LENGTH = {"answer_length": 8}
IMPORTANCE = torch.rand(3, 200, generator=torch.Generator().manual_seed(0))


def refined(method, whole):
    """The cache before and after, and copies of the former's bits."""
    context = answer_context(whole, 8, 4096)
    cache = method.prefill(MODEL.backbone, context)
    p = whole.shape[1]
    bits = [(layer.keys[:, :, :p].clone(), layer.values[:, :, :p].clone()) for layer in cache.layers]
    after = method.rewrite(MODEL.backbone, context, cache, IMPORTANCE[: len(whole.embeddings), :p])
    return cache, after, bits


@pytest.mark.parametrize("method", [TwoStage(), TwoStage(swap=3, read=0.5), TwoStage(swap=0, read=0.5)], ids=str)
def test_static_keys_and_values_are_bit_identical_and_where_they_were(method):
    whole = prefix(every_token=True)
    cache, (after, _, _), bits = refined(method, whole)
    p = whole.shape[1]
    for before, now, (keys, values) in zip(cache.layers, after.layers, bits, strict=True):
        assert (now.keys.data_ptr(), now.values.data_ptr()) == (before.keys.data_ptr(), before.values.data_ptr())
        assert torch.equal(now.keys[:, :, :p], keys)
        assert torch.equal(now.values[:, :, :p], values)
    # Nor does any later step touch them, or what came in.
    digest = after.digest()
    MODEL.backbone.denoise(torch.randn(3, 8, 64), answer_context(whole, 8, 4096).answer_positions, after)
    assert after.digest() == digest


def test_what_is_read_counts_k():
    whole = prefix(every_token=True)
    _, (cache, kept, swapped), _ = refined(TwoStage(swap=4, read=0.5), whole)
    for row, came, selection, placement in zip(whole.owners, swapped, whole.selections, whole.placements, strict=True):
        k = selection.indices.shape[1]
        read = round(0.5 * k)
        assert len(came) == 4
        assert kept[row, placement.columns].sum() == read - 4
        assert not set(came.tolist()) & set(selection.indices[0].tolist())
        seen = cache.layers[0].mask[row, 0, 0, : cache.layers[0].prefix_length].sum()
        assert seen == whole.lengths[row] - k + read
    assert cache.layers[0].mask[2, 0, 0, : whole.shape[1] + 4].sum() == whole.lengths[2]


def test_fine_tokens_see_the_prefix_as_if_they_stood_behind_it():
    """Written once, but the states are those of a prefill in which the static part does not attend to them."""
    whole = prefix(rows=1, every_token=True)
    before, (cache, _, (came,)), _ = refined(TwoStage(swap=3), whole)
    placement = whole.placements[0]
    x = torch.cat([whole.embeddings, placement.tokens[came][None]], dim=1)
    positions = torch.cat([torch.arange(whole.shape[1]), placement.positions[came]])[None]
    static = torch.arange(x.shape[1]) < whole.shape[1]
    allowed = (static[None] | ~static[:, None])[None, None]
    for block, layer in zip(MODEL.backbone.blocks, cache.layers, strict=True):
        rotary = MODEL.backbone.rotary(positions)
        q, k, v = block.project(x, rotary)
        torch.testing.assert_close(layer.keys[:, :, : x.shape[1]], k, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(layer.values[:, :, : x.shape[1]], v, rtol=1e-4, atol=1e-5)
        x = block.finish(x, torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=allowed))
    assert before.layers[0].prefix_length == whole.shape[1]


@pytest.mark.parametrize("positions", ["packed", "original"])
def test_fine_tokens_stand_where_they_stood(positions):
    whole = prefix(rows=1, positions=positions, every_token=True)
    (placement,), (selection,) = whole.placements, whole.selections
    own = torch.arange(whole.shape[1]) if positions == "packed" else whole.positions[0]
    assert torch.equal(placement.positions[selection.indices[0]], own[placement.columns])
    assert torch.equal(placement.tokens[selection.indices[0]], selection.kept[0])
    everything = prefix(1.0, rows=1, positions="original").positions[0]
    if positions == "original":
        valid = whole.layouts[0].valid_mask()
        assert set(placement.positions[valid].tolist()) < set(everything.tolist())


def test_fine_tokens_are_the_dropped_neighbours_of_what_matters():
    layout = ViewLayout.single(3, 4)
    kept = torch.tensor([[0, 5, 11]])
    scores = torch.zeros(1, 12)
    scores[0, 6] = 1.0
    selection = Selection(kept, scores, torch.zeros(1, 12, dtype=torch.int64), torch.zeros(1, 3, 2))
    # 5 is in the middle: 1, 4, 6 and 9 are as near; 6 has the higher score, then the first.
    assert fine_tokens(torch.tensor([0.0, 1.0, 0.0]), selection, layout, 2).tolist() == [1, 6]
    assert fine_tokens(torch.tensor([0.0, 0.0, 1.0]), selection, layout, 2).tolist() == [7, 10]
    assert fine_tokens(torch.tensor([0.0, 0.0, 1.0]), selection, layout, 9).tolist() == [1, 2, 3, 4, 6, 7, 8, 9, 10]


def test_tokens_of_another_view_are_not_near():
    layout = ViewLayout(views=[*ViewLayout.single(1, 3).views, *ViewLayout.single(1, 3).views])
    zeros = torch.zeros(1, 6)
    selection = Selection(torch.tensor([[1]]), zeros, zeros.long(), torch.zeros(1, 1, 2))
    assert fine_tokens(torch.tensor([1.0]), selection, layout, 3).tolist() == [0, 2, 3]


@pytest.mark.parametrize("every_token", [False, True])
def test_nothing_to_refine_is_the_plain_path(every_token):
    whole = prefix(every_token=every_token)
    plain = MODEL.generate(whole, **LENGTH)
    again = MODEL.generate(whole, **LENGTH, pruning=TwoStage(swap=0), verify_cache=True)
    assert ids_of(again) == ids_of(plain)
    assert {(each.nfe, each.extra_passes, each.kv_bytes) for each in again} == {(plain[0].nfe, 0, plain[0].kv_bytes)}


def test_a_refinement_is_counted_and_told():
    whole, seen, steps = prefix(every_token=True), [], []
    MODEL.generate(whole, **LENGTH, on_step=lambda _, ids: seen.append(ids))
    method = TwoStage(swap=0.25, at=0.5)
    answers = MODEL.generate(
        whole, **LENGTH, pruning=method, verify_cache=True, on_step=lambda _, ids: steps.append(ids)
    )
    assert all(torch.equal(one, other) for one, other in zip(seen[:4], steps[:4], strict=True))
    swapped = [round(0.25 * selection.indices.shape[1]) for selection in whole.selections]
    assert [(each.nfe, each.extra_passes, each.extra_tokens) for each in answers] == [
        (8, 1, swapped[0]),
        (8, 1, swapped[1]),
        (8, 1, 0),
    ]
    assert answers[0].kv_bytes == (whole.shape[1] + max(swapped)) * 2 * 2 * 64 * 4
    for answer, before in zip(answers[:2], whole.selections, strict=True):
        old, new = (set(each.indices[0].tolist()) for each in (before, answer.selection))
        assert len(new) == len(old)
        assert len(new - old) == answer.extra_tokens


def test_a_row_of_a_batch_refines_as_it_does_alone():
    whole = prefix(every_token=True)
    method = TwoStage(swap=5, at=0.3, read=0.8)
    together = MODEL.generate(whole, **LENGTH, pruning=method)
    for row in range(2):
        (alone,) = MODEL.generate(whole[row : row + 1], **LENGTH, pruning=method)
        assert alone.selection.indices.tolist() == together[row].selection.indices.tolist()
        assert alone.ids.tolist() == together[row].ids.tolist()


def test_there_is_a_step_before_and_one_after():
    assert TwoStage(at=0.01).watched(8) == range(1)
    assert TwoStage(at=0.5).watched(8) == range(3, 4)
    assert TwoStage().watched(8) == range(1, 2)
    assert TwoStage(at=0.99).watched(2) == range(1)
    assert not TwoStage().watched(1)


def test_no_more_come_in_than_were_dropped():
    whole = prefix(1.0, every_token=True)
    answers = MODEL.generate(whole, **LENGTH, pruning=TwoStage(swap=9))
    assert [each.extra_passes for each in answers] == [0, 0, 0]
    assert ids_of(answers) == ids_of(MODEL.generate(whole, **LENGTH))


def test_longer_is_masked_where_rows_have_fewer():
    keys = torch.randn(2, 1, 3, 4)
    layer = LayerCache.write(keys, keys, None, 5)
    layer.extended(torch.ones(2, 1, 2, 4), torch.ones(2, 1, 2, 4))
    longer = layer.longer(2, torch.tensor([[True, True], [True, False]]))
    assert longer.prefix_length == 5
    assert longer.mask[:, 0, 0].int().tolist() == [[1] * 8, [1, 1, 1, 1, 0, 1, 1, 1]]
    assert layer.longer(2).mask is None


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TwoStage(swap=-1), "swap must be an integer ≥ 1 or a fraction .* got -1"),
        (lambda: TwoStage(swap=1.5), "got 1.5"),
        (lambda: TwoStage(at=1), "at must be below 1"),
        (lambda: TwoStage(at=0.0), "at must be .* got 0.0"),
        (lambda: TwoStage(read=0.0), "read must be .* got 0.0"),
        (lambda: TwoStage(layers=(0,)), "from 1"),
        (
            lambda: MODEL.generate(prefix(), **LENGTH, pruning=TwoStage()),
            "swap=0.5 needs a prefix made",
        ),
        (lambda: MODEL.generate(torch.zeros(1, 4, 64), **LENGTH, pruning=TwoStage(), cache=False), "cache=True"),
        (
            lambda: MODEL.generate(replace(prefix(), placements=()), **LENGTH, pruning=Rerank(0.2)),
            "says where its tokens stand",
        ),
    ],
)
def test_what_cannot_be(make, message):
    with pytest.raises(ValueError, match=message):
        make()
