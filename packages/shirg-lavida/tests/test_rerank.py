import pytest
import torch

from shirg_core import shirg_v4
from shirg_core.budget import kept_tokens
from shirg_core.methods import get_method
from shirg_lavida.prompt.context import answer_context
from shirg_lavida.pruning.images import best_entries, compacted, image_entries
from shirg_lavida.pruning.options import later_options, static_method
from shirg_lavida.pruning.rerank import Rerank, Wider
from shirg_lavida.sampling import later
from shirg_lavida.sampling.later import importance_of

from .later_setup import MODEL, ids_of, prefix

LENGTH = {"answer_length": 8}


def wide(budget=0.25, **options):
    rerank = Rerank(budget, **options)
    return rerank, prefix(selector=rerank.before(shirg_v4(budget)))


def test_twice_k_before_and_exactly_k_of_each_image_after():
    rerank, whole = wide()
    answers = MODEL.generate(whole, **LENGTH, pruning=rerank, verify_cache=True)
    for answer, before in zip(answers[:2], whole.selections, strict=True):
        k = kept_tokens(0.25, answer.layout)
        assert before.indices.shape[1] == 2 * k
        after = answer.selection.indices[0]
        assert len(after) == k
        assert after.tolist() == sorted(set(after.tolist()))
        assert set(after.tolist()) < set(before.indices[0].tolist())
        assert answer.selection.kept.shape == (1, k, 64)
    assert answers[2].selections == ()
    # Rows are as long as the one that keeps most, padding included.
    longest = max(n - kept_tokens(0.25, each.layout) for n, each in zip(whole.lengths, answers[:2], strict=False))
    assert answers[0].kv_bytes == longest * 2 * 2 * 64 * 4


def test_nfe_is_the_plain_one_and_the_rewrite_no_pass():
    rerank, whole = wide()
    answers, plain = MODEL.generate(whole, **LENGTH, pruning=rerank), MODEL.generate(whole, **LENGTH)
    assert {(each.nfe, each.extra_passes, each.extra_tokens) for each in answers} == {(plain[0].nfe, 0, 0)}


def test_from_k_to_k_is_the_plain_path():
    rerank, whole = wide(0.4, wider=1.0)
    assert torch.equal(whole.embeddings, prefix(0.4).embeddings)
    again = MODEL.generate(whole, **LENGTH, pruning=rerank, verify_cache=True)
    assert ids_of(again) == ids_of(MODEL.generate(whole, **LENGTH))
    assert [each.selection.indices.tolist() for each in again[:2]] == [s.indices.tolist() for s in whole.selections]


def test_kept_entries_are_copied_bit_for_bit():
    rerank, whole = wide()
    context = answer_context(whole, 8, 4096)
    cache = rerank.prefill(MODEL.backbone, context)
    importance = torch.rand(3, whole.shape[1], generator=torch.Generator().manual_seed(0))
    rewritten = rerank.rewrite(MODEL.backbone, context, cache, importance)
    index, present = compacted(rewritten.kept, whole.mask)
    for row in range(3):
        mine = index[row] if present is None else index[row][present[row]]
        for before, after in zip(cache.layers, rewritten.cache.layers, strict=True):
            stands = slice(after.prefix_length - len(mine), after.prefix_length)
            assert torch.equal(after.keys[row, :, stands], before.keys[row][:, mine])
            assert torch.equal(after.values[row, :, stands], before.values[row][:, mine])
            assert not after.mask[row, 0, 0, : stands.start].any()


def test_a_row_of_a_batch_chooses_what_it_chooses_alone():
    rerank, whole = wide()
    together = MODEL.generate(whole, **LENGTH, pruning=rerank)
    for row in range(2):
        (alone,) = MODEL.generate(whole[row : row + 1], **LENGTH, pruning=rerank)
        assert alone.selection.indices.tolist() == together[row].selection.indices.tolist()
        assert alone.ids.tolist() == together[row].ids.tolist()


def test_the_best_of_each_image_stay_and_so_does_all_that_is_no_token():
    entries = torch.tensor([[-1, 0, 0, 0, -1, 1, 1], [2, -1, -1, 2, 2, -1, -1]])
    importance = torch.tensor([[0.0, 1, 3, 3, 0, 5, 9], [2.0, 0, 0, 2, 2, 0, 0]])
    kept = best_entries(importance, entries, [1, 2, 2])
    assert kept.int().tolist() == [[1, 0, 1, 0, 1, 1, 1], [1, 1, 1, 1, 0, 1, 1]]
    index, present = compacted(kept & (entries < 2))
    assert index.tolist()[0] == [0, 2, 4, 5, 6]
    assert present.tolist()[1] == [False, True, True, True, True]


def test_only_watched_steps_and_layers_count(monkeypatch):
    rerank = Rerank(0.5, steps=2, layers=(-1,))
    assert (rerank.watched(8), rerank.watched(1)) == (range(2), range(1))
    seen = []
    _, whole = wide()
    with monkeypatch.context() as patch:
        patch.setattr(later, "importance_of", lambda *given: seen.append(given) or importance_of(*given))
        MODEL.generate(whole, **LENGTH, pruning=Rerank(0.25, steps=3))
    assert [tuple(attention.shape) for attention, _ in seen] == [(3, 3 * 8, whole.shape[1])]
    chosen = [
        [a.selection.indices.tolist() for a in MODEL.generate(whole, **LENGTH, pruning=Rerank(0.25, layers=n))[:2]]
        for n in ((1,), (2,), (-1,))
    ]
    assert chosen[0] != chosen[1] == chosen[2]


def test_image_entries_are_the_kept_tokens():
    whole = prefix(positions="original")
    entries = image_entries(whole)
    for i, (row, selection) in enumerate(zip(whole.owners, whole.selections, strict=True)):
        at = whole.placements[i].columns
        assert (entries == i).sum() == selection.indices.shape[1] == len(at)
        assert torch.equal(whole.embeddings[row, at], selection.kept[0])
    assert (entries[2] == -1).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Rerank(0), "budget must be"),
        (lambda: Rerank(0.5, wider=0.5), "wider must be .* got 0.5"),
        (lambda: Rerank(0.5, steps=0), "steps must be an integer ≥ 1, got 0"),
        (lambda: Rerank(0.5, layers=(0,)), r"from 1, or −1 … from the last, got \(0,\)"),
        (lambda: Rerank(0.5, layers=()), r"got \(\)"),
        (lambda: MODEL.generate(prefix(), **LENGTH, pruning=Rerank(0.25, layers=(3,))), "1 … 2, .* got 3"),
        (lambda: MODEL.generate(prefix(0.25), **LENGTH, pruning=Rerank(0.5)), r"budget K=\d+ is larger than the \d+"),
        (lambda: MODEL.generate(torch.zeros(1, 4, 64), **LENGTH, pruning=Rerank(0.5)), "says where its tokens stand"),
        (lambda: later_options(get_method("rerank"), "wider=2,wider=3"), "wider is given twice"),
        (lambda: static_method("v4:budget=3"), "budget is given already, by --budget"),
        (lambda: static_method("v4:radius=3:radius=4"), "radius is given already"),
        (lambda: Wider(shirg_v4(0.5), 5000, 2.0)(None, prefix().layouts[0]), "K=5000 is larger"),
    ],
)
def test_what_cannot_be(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_wider_keeps_at_most_all():
    layout = prefix().layouts[0]
    assert Wider(shirg_v4(0.7), 0.7, 2.0).kept(layout) == layout.n_selectable
    assert Wider(shirg_v4(5), 5, 2.5).kept(layout) == round(12.5)
