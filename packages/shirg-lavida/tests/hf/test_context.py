"""`pruning`: what code that is not ours gets, and that nothing is left behind."""

import pytest
import torch

from shirg_core import shirg_v2, shirg_v3
from shirg_core.hf import prune, pruning

from .families import FAMILIES, IMAGE

FAMILY = {family.name: family for family in FAMILIES}
LLAVA = FAMILY["llava"]
SELECTOR = shirg_v2(0.25)
GREEDY = {"max_new_tokens": 4, "do_sample": False}


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_generate_gives_back_the_whole_prompt_and_the_pruned_answer(family):
    model, inputs = family.model(), family.prompts([0], [1])
    positions, options = ("packed", {"max_new_tokens": 8}) if family.by_canvas else ("original", GREEDY)
    pruned, seen = prune(model, inputs, SELECTOR, positions=positions), []
    torch.manual_seed(0)
    wanted = model.generate(**pruned, **options)
    with pruning(model, SELECTOR, positions=positions, on_pruned=seen.append):
        torch.manual_seed(0)
        answer = model.generate(**inputs, **options)
    wanted, answer = (given if isinstance(given, torch.Tensor) else given.sequences for given in (wanted, answer))
    length = inputs["input_ids"].shape[1]
    assert answer[:, :length].tolist() == inputs["input_ids"].tolist()
    assert answer[:, length:].tolist() == wanted[:, pruned["input_ids"].shape[1] :].tolist()
    (inside,) = seen
    assert [s.indices.tolist() for s in inside.selections] == [s.indices.tolist() for s in pruned.selections]


def test_forward_sees_fewer_tokens_and_labels_are_cut_along():
    model, inputs = LLAVA.model(), LLAVA.prompts([0], [1])
    unread = (inputs["input_ids"] == IMAGE) | (inputs["attention_mask"] == 0)
    labels = inputs["input_ids"].masked_fill(unread, -100)
    pruned = prune(model, {**inputs, "labels": labels}, SELECTOR)
    with torch.no_grad(), pruning(model, SELECTOR):
        by_name = model(**inputs, labels=labels)
        by_place = model(inputs["input_ids"], inputs["pixel_values"], inputs["attention_mask"])
    with torch.no_grad():
        wanted = model(**pruned)
    assert torch.equal(by_name.logits, wanted.logits)
    assert torch.equal(by_name.loss, wanted.loss)
    assert torch.equal(by_place.logits, wanted.logits)
    assert (pruned["labels"] != -100).sum() == (labels != -100).sum()


def test_nothing_is_left_behind_even_by_an_error():
    model, inputs = LLAVA.model(), LLAVA.prompts([0])
    before = dict(vars(model))
    with pytest.raises(ValueError, match="videos"), pruning(model, SELECTOR):
        model(**inputs, pixel_values_videos=inputs["pixel_values"])
    assert vars(model) == before
    assert model(**inputs).logits.shape[1] == inputs["input_ids"].shape[1]


def test_what_others_put_on_the_model_comes_back():
    model, own = LLAVA.build(LLAVA.config()).eval(), LLAVA.model().forward
    model.forward = own
    with pruning(model, SELECTOR):
        assert model.forward is not own
    assert vars(model)["forward"] is own


def test_calls_without_images_are_left_alone():
    model, text = LLAVA.model(), torch.tensor([[1, 5, 40, 41]])
    wanted = model.generate(text, **GREEDY)
    with pruning(model, SELECTOR):
        assert model.generate(text, **GREEDY).tolist() == wanted.tolist()
        assert model.generate(inputs=text, **GREEDY).tolist() == wanted.tolist()
        assert model(text).logits.shape[1] == 4


def test_lengths_count_the_whole_prompt_and_beams_repeat_it():
    model, inputs = LLAVA.model(), LLAVA.prompts([0])
    ids, rest = inputs["input_ids"], {name: value for name, value in inputs.items() if name != "input_ids"}
    length = ids.shape[1]
    with pruning(model, shirg_v3(4)):
        answer = model.generate(ids, **rest, max_length=length + 3, min_length=length + 3, do_sample=False)
        beams = model.generate(
            **inputs, num_beams=2, num_return_sequences=2, max_new_tokens=2, return_dict_in_generate=True
        )
    assert answer.shape == (1, length + 3)
    assert beams.sequences[:, :length].tolist() == ids.tolist() * 2


def test_gaps_in_positions_need_the_cache_which_separates_no_sequences_at_them():
    """transformers 5.23: an all-ones mask is dropped, and without a cache gaps are taken for packed sequences."""
    for name, options in (("llava", {"positions": "packed"}), ("qwen2_5_vl", {"positions": "original"})):
        family = FAMILY[name]
        with pruning(family.model(), SELECTOR, **options):
            answers = [family.model().generate(**family.prompts([0]), **GREEDY, use_cache=c) for c in (True, False)]
        assert answers[0].tolist() == answers[1].tolist()
    with pruning(LLAVA.model(), SELECTOR), pytest.raises(ValueError, match=r"use_cache=False.*positions='packed'"):
        LLAVA.model().generate(**LLAVA.prompts([0]), **GREEDY, use_cache=False)


def test_a_call_that_cannot_be_pruned_is_no_unpruned_answer():
    model, inputs = LLAVA.model(), LLAVA.prompts([0])
    with pruning(model, SELECTOR), pytest.raises(ValueError, match="videos are not pruned"):
        model.generate(**inputs, pixel_values_videos=inputs["pixel_values"])
    with pruning(model, shirg_v2(0.25), question=None), pytest.raises(ValueError, match="needs `text`"):
        model(**inputs)
