import numpy as np
import pytest
import torch
from PIL import Image

from shirg_core import shirg_v2, shirg_v3
from shirg_core.clock import Clock
from shirg_lavida import IMAGE_TOKEN_ID
from shirg_lavida.testing import tiny_lavida


@pytest.fixture(scope="module")
def model():
    return tiny_lavida(0, side=6, patch_size=4)


def picture(width=40, height=40, seed=0):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


PROMPT = torch.tensor([1, 2, IMAGE_TOKEN_ID, 3])
OTHER = torch.tensor([4, IMAGE_TOKEN_ID, 5, 6, 7, 8])


def test_text_is_embedded_around_the_image(model):
    prefix = model.embed_prompt(PROMPT, [picture()])
    text = model.backbone.embed(PROMPT[[0, 1, 3]])
    assert torch.equal(prefix[0][[0, 1, -1]], text)
    assert prefix.visual_tokens == (prefix.shape[1] - 3,)


def test_no_image_at_all(model):
    prefix = model.embed_prompt(torch.tensor([[1, 2]]), [])
    assert torch.equal(prefix.embeddings, model.backbone.embed(torch.tensor([[1, 2]])))


@pytest.mark.parametrize("positions", ["packed", "original"])
@pytest.mark.parametrize("selector", [None, shirg_v2(budget=30), shirg_v3(budget=30)])
def test_a_batch_gives_each_prompt_what_it_gets_alone(model, selector, positions):
    images = [picture(60, 40), picture(40, 40, 1)]
    options = {"selector": selector, "positions": positions}
    both = model.embed_prompt([PROMPT, OTHER], images, **options)
    answer = torch.tensor([[5, 6, 254]])
    logits = model.denoise_logits(both, answer.expand(2, -1))
    for b, (ids, image) in enumerate(zip([PROMPT, OTHER], images, strict=True)):
        alone = model.embed_prompt(ids, [image], **options)
        length = alone.shape[1]
        torch.testing.assert_close(both[b][-length:], alone[0], rtol=0, atol=1e-5)
        torch.testing.assert_close(logits[b], model.denoise_logits(alone, answer)[0], rtol=0, atol=1e-4)


def test_positions_original_leave_gaps_and_change_logits(model):
    packed, original = (
        model.embed_prompt(PROMPT, [picture()], selector=shirg_v3(budget=30), positions=p)
        for p in ("packed", "original")
    )
    assert torch.equal(packed.embeddings, original.embeddings)
    assert packed.positions is None
    gaps = original.positions[0].diff()
    assert gaps.min() >= 1
    assert gaps.max() > 1
    answer = torch.tensor([[254, 254]])
    assert not torch.allclose(model.denoise_logits(packed, answer), model.denoise_logits(original, answer))


def test_cached_uncached_and_full_attention(model):
    prefix = model.embed_prompt(PROMPT, [picture()], selector=shirg_v3(budget=30))
    answer = torch.tensor([[254, 3, 254]])
    cached = model.denoise_logits(prefix, answer)
    assert cached.shape == (1, 3, 256)
    torch.testing.assert_close(cached, model.denoise_logits(prefix, answer, cache=False), rtol=0, atol=1e-4)
    full = model.denoise_logits(prefix, answer, attention="full", cache=False)
    assert not torch.allclose(cached, full)


def test_sample_returns_ids_and_generate_what_they_cost(model):
    prefix = model.embed_prompt(PROMPT, [picture()], selector=shirg_v2(budget=30))
    options = {
        "answer_length": 8,
        "block_length": 4,
        "step_ratio": 0.5,
        "allow_mask_prediction": False,
        "verify_cache": True,
    }
    (result,) = model.generate(prefix, **options)
    assert torch.equal(model.sample(prefix, **options), result.ids[None])
    assert result.ids.shape == (8,)
    assert not (result.ids == model.config.mask_token_id).any()
    assert result.nfe == 4
    assert result.kv_bytes == 2 * model.config.language.n_layers * prefix.shape[1] * 64 * 4


def test_errors(model):
    with pytest.raises(ValueError, match=r"1 image token.* 0 image"):
        model.embed_prompt(PROMPT, [])
    with pytest.raises(ValueError, match="id 256"):
        model.embed_prompt(torch.tensor([256]), [])
    with pytest.raises(ValueError, match="context holds 4096"):
        model.embed_prompt(torch.ones(4097, dtype=torch.int64), [])
    with pytest.raises(ValueError, match="views must be one of"):
        model.embed_prompt(PROMPT, [picture()], views="fine")
    with pytest.raises(ValueError, match="newline must be one of"):
        model.embed_prompt(PROMPT, [picture()], newline="col")


def test_training_gradients_pass_from_the_loss_to_the_projector():
    model = tiny_lavida(0, side=6, patch_size=4)
    model.projector.requires_grad_()
    prefix = model.embed_prompt(PROMPT, [picture()], selector=shirg_v3(budget=30))
    model.denoise_logits(prefix, torch.tensor([[254, 254]]), cache=False).sum().backward()
    assert model.projector[2].weight.grad.abs().sum() > 0


def test_prompts_may_be_plain_numbers_and_images_must_be_a_list(model):
    tensors = model.embed_prompt(PROMPT, [picture()])
    assert torch.equal(model.embed_prompt(PROMPT.tolist(), [picture()]).embeddings, tensors.embeddings)
    for images in (picture(), "page.png"):
        with pytest.raises(ValueError, match="list of Pillow images"):
            model.embed_prompt(PROMPT, images)


def test_the_checkpoint_s_ids_and_unknown_names_are_no_options(model):
    prefix = model.embed_prompt(PROMPT, [picture()])
    for name in ("mask_id", "eos_id", "temprature"):
        with pytest.raises(TypeError, match=name):
            model.sample(prefix, answer_length=4, **{name: 3})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", "0.5"),
        ("steps", "4"),
        ("steps", 8.0),
        ("steps", True),
        ("shift", "x"),
        ("confidence_threshold", "a"),
    ],
)
def test_options_that_are_no_numbers_are_named(model, name, value):
    prefix = model.embed_prompt(PROMPT, [picture()])
    with pytest.raises(ValueError, match=f"^{name} must be .*, got {value!r}$"):
        model.sample(prefix, answer_length=8, **{name: value})


def test_nothing_is_timed_unless_asked(model):
    (answer,) = model.generate(model.embed_prompt(PROMPT, [picture()]), answer_length=4)
    assert (answer.timings_ms, answer.step_ms, answer.nfe) == ({}, (), 4)
    clock = Clock()
    (answer,) = model.generate(model.embed_prompt(PROMPT, [picture()], clock=clock), answer_length=4, clock=clock)
    assert answer.timings_ms.keys() == {"prefill", "steps"}
    assert clock.timings_ms.keys() == {"tower", "prefill"}
    assert len(answer.step_ms) == 4


class Spy:
    """v2 that remembers the text it was shown."""

    def __init__(self):
        self.seen = []

    def __call__(self, features, layout, *, text=None, text_mask=None, edges=None, **_):
        self.seen += [row[mask] for row, mask in zip(text, text_mask, strict=True)]
        return shirg_v2(budget=30)(features, layout, text=text, text_mask=text_mask, edges=edges)


def shown(model, prompts, images, **options):
    spy = Spy()
    prefix = model.embed_prompt(prompts, images, selector=spy, **options)
    return prefix, spy.seen


def test_a_selector_sees_the_question_and_nothing_else(model):
    words = [torch.tensor([5, 6]), [7, IMAGE_TOKEN_ID, 8, 9]]
    prefix, seen = shown(model, [PROMPT, OTHER], [picture(), picture(seed=1)], question=words)
    for text, ids in zip(seen, ([5, 6], [7, 8, 9]), strict=True):
        assert torch.equal(text, model.backbone.embed(torch.tensor(ids)))
    # Only the choice depends on it: the prompt stays whole.
    assert torch.equal(prefix[0][-1], model.backbone.embed(PROMPT[-1:])[0])


def test_every_image_of_a_prompt_is_chosen_from_by_its_question(model):
    ids = [[1, IMAGE_TOKEN_ID, IMAGE_TOKEN_ID, 2], [3, IMAGE_TOKEN_ID]]
    _, seen = shown(model, ids, [picture(seed=i) for i in range(3)], question=[[5], [6]])
    assert torch.equal(torch.cat(seen), model.backbone.embed(torch.tensor([5, 5, 6])))


def test_without_a_question_all_ids_but_image_mask_and_end_of_text_are_shown(model):
    ids = [1, 254, IMAGE_TOKEN_ID, 3, 255]
    _, (text,) = shown(model, ids, [picture()])
    assert torch.equal(text, model.backbone.embed(torch.tensor([1, 3])))


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ([[5], [6]], r"one question per prompt \(1\), got 2"),
        ([[256]], "question: id 256"),
        ([[]], "question: .*at least one token"),
        ("What?", "question: .*got a str"),
    ],
)
def test_questions_that_do_not_fit_are_refused(model, question, message):
    with pytest.raises(ValueError, match=message):
        model.embed_prompt(PROMPT, [picture()], question=question)
