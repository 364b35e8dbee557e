import itertools
import math
from functools import partial

import pytest
import torch

from shirg_lavida.language.cache import PrefixCache
from shirg_lavida.prompt.context import answer_context
from shirg_lavida.prompt.prefix import Prefix
from shirg_lavida.sampling.denoiser import Denoiser, denoise_logits
from shirg_lavida.sampling.options import SamplingOptions
from shirg_lavida.sampling.step import settle

from .language_models import EOS, MASK, VOCAB, answer, backbone, prefix, sample

IDS = {"mask_id": MASK, "eos_id": EOS}


def watched(length, **options):
    """Two rows' answers, their ids before and after every step, and how many tokens a row had settled by then."""
    seen = [torch.full((2, length), MASK)]
    options = {**IDS, "allow_mask_prediction": False, "on_step": lambda _, ids: seen.append(ids), **options}
    result = sample(backbone(), prefix(2), answer_length=length, **options)
    return result, seen, [int((ids != MASK).sum()) // 2 for ids in seen]


def test_cached_and_uncached_sample_the_same_ids():
    model, x = backbone(), prefix(2)
    one, two = (
        sample(model, x, **IDS, answer_length=16, schedule="shift", step_ratio=0.5, cache=c) for c in (True, False)
    )
    assert torch.equal(one.ids, two.ids)
    assert one.kv_bytes == 2 * 2 * 2 * 20 * 32 * 4
    assert two.kv_bytes == 0


def test_full_attention_cannot_be_cached():
    model, x = backbone(), prefix()
    for call in (
        lambda: denoise_logits(model, x, answer(), attention="full"),
        lambda: sample(model, x, **IDS, answer_length=8, attention="full"),
    ):
        with pytest.raises(ValueError, match="cache=False"):
            call()
    with pytest.raises(ValueError, match="'causal'"):
        sample(model, x, **IDS, answer_length=8, attention="causal")


def test_full_and_prefix_attention_differ():
    model, x, ids = backbone(), prefix(), answer()
    full = denoise_logits(model, x, ids, attention="full", cache=False)
    assert not torch.allclose(full, denoise_logits(model, x, ids), atol=1e-2)


@pytest.mark.parametrize(
    ("options", "nfe"),
    [
        ({"answer_length": 16}, 16),
        ({"answer_length": 16, "step_ratio": 0.5, "schedule": "shift"}, 8),
        ({"answer_length": 16, "block_length": 4, "step_ratio": 0.5}, 8),
        ({"answer_length": 16, "block_length": 4, "steps": 4}, 4),
        ({"answer_length": 16, "step_ratio": 0.3}, 4),
    ],
)
def test_nfe_counts_steps_and_every_token_is_settled(options, nfe):
    result = sample(backbone(), prefix(), **IDS, allow_mask_prediction=False, **options)
    assert result.nfe == nfe
    assert not (result.ids == MASK).any()


def test_steps_settle_what_was_planned_and_never_change_it():
    _, seen, settled = watched(12, block_length=6, step_ratio=0.5, schedule="shift")
    assert settled == [0, 4, 5, 6, 10, 11, 12]
    for before, after in itertools.pairwise(seen):
        assert torch.equal(after[before != MASK], before[before != MASK])
    assert not (seen[3][:, 6:] != MASK).any()  # the second block waits for the first


def test_draft_is_kept_and_its_masks_are_filled():
    draft = torch.tensor([[7, MASK, 8, MASK]])
    ids = sample(backbone(), prefix(2), **IDS, answer_length=8, draft_ids=draft, allow_mask_prediction=False).ids
    assert ids[:, [0, 2]].tolist() == [[7, 8]] * 2
    assert not (ids == MASK).any()


def test_a_fully_drafted_answer_takes_no_step():
    result = sample(backbone(), prefix(), **IDS, answer_length=8, draft_ids=answer())
    assert result.nfe == 0
    assert torch.equal(result.ids, answer())


def mask_lover(by=2):
    """A model that predicts the mask at some positions."""
    model = backbone()
    with torch.no_grad():
        model.ff_out.weight[MASK] *= by
    return model


def test_predicted_masks_stay_unless_banned():
    model, x = mask_lover(), prefix()
    left = sample(model, x, **IDS, answer_length=16)
    assert (left.ids == MASK).any()
    assert left.nfe == 16
    assert not (sample(model, x, **IDS, answer_length=16, allow_mask_prediction=False).ids == MASK).any()


class Stubborn:
    """Surest of all that answer token 1 is the mask, for four steps; else token 5, the surer the earlier."""

    n_layers, max_sequence_length, vocab_size, shifted = 1, 100, MASK + 1, False

    def __init__(self):
        self.calls = 0

    def predicting(self, hidden, _):
        return hidden

    def embed(self, ids):
        return ids[..., None].float()

    def prefill(self, *_, **__):
        return PrefixCache(())

    def denoise(self, _, positions, __):
        self.calls += 1
        return positions[..., None].float()

    def logits(self, hidden):
        place = hidden[..., 0] - 3  # the prefix has three tokens
        logits = torch.zeros(*place.shape, MASK + 1)
        logits[..., 5] = 5 - 0.1 * place
        logits[..., MASK] = torch.where((place == 1) & (self.calls <= 4), 9.0, 0.0)
        return logits


def test_a_mask_left_behind_takes_a_later_blocks_place():
    result = sample(Stubborn(), torch.zeros(1, 3, 1), **IDS, answer_length=8, block_length=4)
    assert result.ids.tolist() == [[5, 5, 5, 5, MASK, MASK, MASK, MASK]]
    assert result.nfe == 8
    banned = sample(
        Stubborn(), torch.zeros(1, 3, 1), **IDS, answer_length=8, block_length=4, allow_mask_prediction=False
    )
    assert banned.ids.tolist() == [[5] * 8]


def test_stopping_at_the_end_of_text_keeps_everything_before_it():
    model, x = backbone(), prefix()
    plain = sample(model, x, **IDS, answer_length=32, block_length=8)
    settled = int(plain.ids[0, 9])
    first = plain.ids[0].tolist().index(settled)
    stopped = sample(model, x, mask_id=MASK, eos_id=settled, answer_length=32, block_length=8, stop_at_eos=True)
    assert torch.equal(stopped.ids[0, :first], plain.ids[0, :first])
    assert (stopped.ids[0, first:] == settled).all()
    assert stopped.nfe <= 16 < plain.nfe


def test_a_batch_stops_when_its_last_row_ends():
    model, x = backbone(), torch.cat([prefix(1, 20, 0), prefix(1, 20, 1)])
    alone = [sample(model, row[None], **IDS, answer_length=16).ids for row in x]
    eos = int(alone[0][0, 3])
    stopped = sample(model, x, mask_id=MASK, eos_id=eos, answer_length=16, stop_at_eos=True)
    for row, ids in zip(stopped.ids.tolist(), alone, strict=True):
        reference = ids[0].tolist()
        end = reference.index(eos) if eos in reference else 16
        assert row == reference[:end] + [eos] * (16 - end)


def test_threshold_takes_fewer_steps_and_1_takes_them_all():
    model, x = backbone(), prefix()
    plain = sample(model, x, **IDS, answer_length=16)
    assert sample(model, x, **IDS, answer_length=16, confidence_threshold=1.0).nfe == plain.nfe
    quick = sample(model, x, **IDS, answer_length=16, confidence_threshold=0.3, allow_mask_prediction=False)
    assert 1 <= quick.nfe < 16
    assert not (quick.ids == MASK).any()


def test_same_generator_same_answer():
    model, x = backbone(), prefix()
    ids = [
        sample(
            model, x, **IDS, answer_length=8, temperature=1.5, generator=torch.Generator().manual_seed(s)
        ).ids.tolist()
        for s in (1, 1, 2)
    ]
    assert ids[0] == ids[1] != ids[2]


def test_rows_of_different_length_answer_as_they_do_alone():
    model, short, long = backbone(), prefix(1, 9, 1), prefix(1, 20, 2)
    padded = torch.cat([torch.zeros(1, 11, 32), short], dim=1)
    mask = torch.arange(20).expand(2, -1) >= torch.tensor([[11], [0]])
    positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
    both = Prefix(torch.cat([padded, long]), positions=positions, mask=mask)
    for options in ({}, {"attention": "full", "cache": False}, {"cache": False}):
        ids = sample(model, both, **IDS, answer_length=12, **options).ids
        for row, alone in zip(ids, (short, long), strict=True):
            assert torch.equal(row[None], sample(model, alone, **IDS, answer_length=12, **options).ids)


def test_the_cache_is_bit_identical_after_every_step_and_a_change_is_caught(monkeypatch):
    model, x = backbone(), prefix(2)
    result = sample(model, x, **IDS, answer_length=8, verify_cache=True)
    assert torch.equal(result.ids, sample(model, x, **IDS, answer_length=8).ids)
    whole = type(model).denoise

    def spoiling(self, x, positions, cache: PrefixCache, **options):
        cache.layers[1].values[0, 0, 3, 1] += 1e-3
        return whole(self, x, positions, cache, **options)

    monkeypatch.setattr(type(model), "denoise", spoiling)
    with pytest.raises(RuntimeError, match="step 0 changed the prefix cache"):
        sample(model, x, **IDS, answer_length=8, verify_cache=True)


def test_gradients_reach_the_prefix_without_cache():
    x = prefix().requires_grad_()
    denoise_logits(backbone(), x, answer(), cache=False).square().mean().backward()
    assert x.grad is not None
    assert (x.grad.abs().amax(dim=-1) > 0).all()


def test_a_step_compiles_without_graph_breaks_and_samples_the_same():
    model, x = backbone(), prefix()

    def compiled(step):
        return torch.compile(step, fullgraph=True, backend="aot_eager")

    options = {**IDS, "answer_length": 8, "schedule": "shift", "step_ratio": 0.5}
    assert torch.equal(sample(model, x, **options, wrap_step=compiled).ids, sample(model, x, **options).ids)


def test_a_static_step_reads_and_writes_fixed_storage():
    # What capturing a CUDA graph relies on: the same inputs, the same cache, replayed with new contents.
    model = backbone()
    denoiser = Denoiser.cached(model, answer_context(prefix(), 8, 4096))
    ids, quota = torch.full((1, 8), MASK), torch.ones(1, dtype=torch.int64)
    pointers = [layer.keys.data_ptr() for layer in denoiser.require_cache().layers]
    with torch.no_grad():
        for _ in range(8):
            ids = settle(
                model, denoiser.hidden(ids), ids, quota, (0, 8), SamplingOptions(), mask_id=MASK, compact=False
            )
    assert torch.equal(ids, sample(model, prefix(), **IDS, answer_length=8).ids)
    assert pointers == [layer.keys.data_ptr() for layer in denoiser.require_cache().layers]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"answer_length": 4096}, "context holds 4096"),
        ({"answer_length": 0}, "answer_length must be an integer ≥ 1, got 0"),
        ({"answer_length": 8, "schedule": "sigmoid"}, "'sigmoid'"),
        ({"answer_length": 8, "remasking": "none"}, "'none'"),
        ({"answer_length": 8, "draft_ids": torch.zeros(1, 9, dtype=torch.int64)}, "longer than"),
        ({"answer_length": 8, "draft_ids": torch.tensor([[VOCAB]])}, f"draft_ids .* got {VOCAB}"),
        ({"answer_length": 8, "temperature": float("nan")}, "temperature"),
        ({"answer_length": 8, "shift": float("inf")}, "shift"),
    ],
)
def test_bad_input(options, message):
    with pytest.raises(ValueError, match=message):
        sample(backbone(), prefix(), **IDS, **options)


def test_answer_and_prefix_batches_must_agree():
    with pytest.raises(ValueError, match=r"\[2, L\], got \[1, 8\]"):
        denoise_logits(backbone(), prefix(2), answer(1))


def test_a_huge_step_ratio_takes_a_step_per_token_and_no_longer():
    many, one = (sample(backbone(), prefix(), **IDS, answer_length=8, step_ratio=r) for r in (1e9, 1.0))
    assert many.nfe == one.nfe
    assert torch.equal(many.ids, one.ids)


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (torch.tensor([[VOCAB]]), rf"answer_ids must be in \[0, {VOCAB}\), got {VOCAB}"),
        (torch.tensor([[-200]]), "got -200"),
        (torch.zeros(1, 2), "float32"),
    ],
)
def test_answers_that_cannot_be_embedded(ids, message):
    with pytest.raises(ValueError, match=message):
        denoise_logits(backbone(), prefix(), ids)


def test_any_integers_are_ids():
    model, x, ids = backbone(), prefix(), answer()
    assert torch.equal(denoise_logits(model, x, ids.to(torch.uint8)), denoise_logits(model, x, ids))


@pytest.mark.parametrize("cache", [True, False])
@pytest.mark.parametrize(
    ("wrong", "message"),
    [(prefix()[..., :-1], r"\[B, P, 32\].*\[1, 20, 31\]"), (prefix().double(), "float32.*float64")],
    ids=["width", "dtype"],
)
def test_a_prefix_that_does_not_fit_the_model_is_refused_with_and_without_cache(wrong, message, cache):
    for call in (
        lambda: denoise_logits(backbone(), wrong, answer(), cache=cache),
        lambda: sample(backbone(), wrong, **IDS, answer_length=8, cache=cache),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_the_last_block_may_be_shorter():
    result, seen, settled = watched(11, block_length=4, step_ratio=0.5)
    assert settled == [0, 2, 4, 6, 8, 11]
    assert result.nfe == 5
    for step, stop in ((2, 4), (4, 8)):
        assert not (seen[step][:, :stop] == MASK).any()
        assert (seen[step][:, stop:] == MASK).all()


def test_a_block_longer_than_the_answer_is_the_answer():
    one, two = (sample(backbone(), prefix(), **IDS, answer_length=8, block_length=b).ids for b in (None, 100))
    assert torch.equal(one, two)


@pytest.mark.parametrize("how", [{}, {"cache": False}, {"cache": False, "attention": "full"}], ids=str)
def test_blocks_without_lookahead_do_not_depend_on_the_answers_length(how):
    model, x = backbone(), prefix(2)
    options = {**IDS, "block_length": 4, "allow_mask_prediction": False, **how}
    short, long = (sample(model, x, answer_length=n, lookahead=False, **options).ids for n in (8, 14))
    assert torch.equal(short, long[:, :8])
    assert not torch.equal(short, sample(model, x, answer_length=14, **options).ids[:, :8])
    assert torch.equal(short[:, :4], sample(model, x, answer_length=4, **options).ids)


RULES = [{}, {"remasking": "entropy"}, {"remasking": "random"}, {"temperature": 2.0}, {"block_length": 3}]


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_probabilities_are_those_of_the_step_that_settled_the_token(rule):
    model, x, before = backbone(), prefix(2), [torch.full((2, 8), MASK)]
    options = {"answer_length": 8, "step_ratio": 0.5, "allow_mask_prediction": False, **rule}
    expected = torch.full((2, 8), float("nan"))

    def observe(_, ids):
        logits = denoise_logits(model, x, before[-1])
        logits[..., MASK] = float("-inf")
        now = ids != before[-1]
        expected[now] = logits.softmax(dim=-1).gather(-1, ids.unsqueeze(-1)).squeeze(-1)[now]
        before.append(ids)

    result = sample(model, x, **IDS, **options, generator=torch.Generator().manual_seed(0), on_step=observe)
    assert not expected.isnan().any()
    assert torch.allclose(result.probabilities, expected, atol=1e-5)


def test_probabilities_of_what_was_not_sampled():
    draft = torch.tensor([[7, EOS, MASK, 8]])
    result = sample(backbone(), prefix(), **IDS, answer_length=8, draft_ids=draft, stop_at_eos=True)
    assert result.probabilities.tolist() == [[1.0] * 8]
    left = sample(mask_lover(3), prefix(), **IDS, answer_length=8)
    assert (left.ids == MASK).any()
    assert torch.equal(left.probabilities > 0, left.ids != MASK)


def test_a_penalty_settles_the_end_of_text_last():
    model, x = backbone(), prefix()
    options = {**IDS, "answer_length": 8, "allow_mask_prediction": False}
    # The token that the model is surest of plays the end of text.
    end = int(sample(model, x, **options).ids[0, 0])
    first = []
    for penalty in (0.0, math.inf):
        settled: list[torch.Tensor] = []
        watch = partial(lambda kept, _, ids: kept.append(ids), settled)
        result = sample(model, x, **{**options, "eos_id": end}, eos_penalty=penalty, on_step=watch)
        first.append([i for i, ids in enumerate(settled) if bool((ids == end).any())][:1])
        assert not (result.ids == MASK).any()
        if penalty == 0:
            assert torch.equal(result.ids, sample(model, x, **options).ids)
    assert first[0] < (first[1] or [8])
