import copy
import shutil
from dataclasses import replace

import pytest
import torch
from PIL import Image, ImageDraw

from shirg_core import shirg_v2, shirg_v3
from shirg_core.images import load_image
from shirg_core.methods import METHODS
from shirg_lavida import LavidaPipeline
from shirg_lavida.methods import with_method
from shirg_lavida.prompt.chat import ChatStyle, prompt_ids, question_ids
from shirg_lavida.prompt.pairing import pair_up
from shirg_lavida.sampling.answer import Answer, Confidence
from shirg_lavida.testing import EOS_ID, MASK_ID, set_config

SAMPLING = {"step_ratio": 0.5, "schedule": "shift"}


@pytest.fixture(scope="module")
def pipe(model):
    return LavidaPipeline.from_pretrained(model)


def picture(width=90, height=60, word="42"):
    image = Image.new("RGB", (width, height), "white")
    ImageDraw.Draw(image).text((10, 10), word, fill="black", font_size=30)
    return image


def ask(pipe, *args, **options):
    return pipe(*args, **{"max_new_tokens": 16, **SAMPLING, **options})


def assert_each_alone(pipe, together, images, questions):
    for answer, image, question in zip(together, images, questions, strict=True):
        alone = ask(pipe, image, question)
        for name in ("text", "prefix_tokens", "visual_tokens", "layout"):
            assert getattr(answer, name) == getattr(alone, name)
        assert torch.equal(answer.ids, alone.ids)
        assert (answer.selection is None) == (image is None)
        assert image is None or torch.equal(answer.selection.indices, alone.selection.indices)


@pytest.mark.parametrize("selector", [None, shirg_v2(budget=30), shirg_v3(budget=30)], ids=["pooled", "v2", "v3"])
def test_is_the_model_below_the_tokenizer(pipe, selector):
    answer = ask(replace(pipe, selector=selector), picture(), "What?")
    ids = prompt_ids(pipe.tokenizer, "What?", ChatStyle())[None]
    words = [question_ids(pipe.tokenizer, "What?")]
    prefix = pipe.model.embed_prompt(ids, [picture()], question=words, selector=selector)
    (result,) = pipe.model.generate(prefix, answer_length=16, **SAMPLING)
    assert torch.equal(answer.ids, result.ids)
    assert answer.nfe == result.nfe == 8
    assert answer.prefix_tokens == prefix.shape[1]
    assert answer.visual_tokens == prefix.visual_tokens[0] == answer.prefix_tokens - ids.shape[1] + 1
    assert answer.kv_bytes == result.kv_bytes == 2 * 2 * answer.prefix_tokens * 64 * 4
    assert answer.text == pipe.text(result.ids)
    assert answer.layout == prefix.layouts[0]
    if selector is None:
        assert answer.selection is None
    else:
        assert torch.equal(answer.selection.indices, prefix.selections[0].indices)
        assert answer.selection.indices.shape == (1, 30)


@pytest.mark.parametrize("views", ["anyres", "single"])
@pytest.mark.parametrize("suffix", ["jpg", "png", "tiff"])
def test_a_turned_photograph_is_the_same_by_every_way_in(pipe, tmp_path, suffix, views):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / f"phone.{suffix}"
    picture(200, 80).save(path, exif=exif)
    with Image.open(path) as opened:
        upright = opened.convert("RGB") if suffix == "tiff" else opened.transpose(Image.Transpose.ROTATE_270)
    upright = Image.frombytes("RGB", upright.size, upright.tobytes())
    assert upright.size == (80, 200)
    chosen = replace(pipe, selector=shirg_v3(budget=30), views=views)
    expected = chosen.embed(["What?"], [[upright]])
    ids = prompt_ids(pipe.tokenizer, "What?", ChatStyle())[None]
    for image in (path, str(path), Image.open(path), load_image(path)):
        answer = ask(chosen, image, "What?")
        assert answer.layout == expected.layouts[0]
        assert torch.equal(answer.selection.indices, expected.selections[0].indices)
        if isinstance(image, Image.Image):
            prefix = pipe.model.embed_prompt(ids, [image], selector=chosen.selector, views=views)
            assert torch.equal(prefix.embeddings, expected.embeddings)


@pytest.mark.parametrize(
    ("recommended", "blocks"),
    [
        ({}, {"block_length": 32, "lookahead": True}),
        ({"max_new_tokens": 6}, {"block_length": 6, "lookahead": False}),
        ({"max_new_tokens": 6, "lookahead": True}, {"block_length": 6, "lookahead": True}),
    ],
    ids=str,
)
def test_blocks_are_as_long_as_the_answers_that_the_checkpoint_recommends(pipe, recommended, blocks):
    raw = {**pipe.model.config.raw, "shirg": recommended}
    own = replace(pipe, model=copy.copy(pipe.model))
    own.model.config = replace(pipe.model.config, raw=raw)
    default = own(picture(), "What?", max_new_tokens=40)
    named = pipe(picture(), "What?", max_new_tokens=40, stop_at_eos=True, **blocks)
    assert torch.equal(default.ids, named.ids)
    released = own(picture(), "What?", max_new_tokens=40, block_length=None, lookahead=True, stop_at_eos=False)
    prefix = pipe.embed(["What?"], [[picture()]])
    assert torch.equal(released.ids, pipe.model.sample(prefix, answer_length=40)[0])


def test_confidence_is_that_of_the_answers_tokens_up_to_its_end(pipe):
    answers = pipe(picture(), ["What?", "Who?"], max_new_tokens=8)
    results = pipe.model.generate(
        pipe.embed(["What?", "Who?"], [[picture()]] * 2), answer_length=8, block_length=32, stop_at_eos=True
    )
    for answer, probabilities in zip(answers, (result.probabilities for result in results), strict=True):
        end = next((i + 1 for i, token in enumerate(answer.ids.tolist()) if token == EOS_ID), 8)
        assert answer.confidence.min == pytest.approx(float(probabilities[:end].min()))
        assert answer.confidence.mean == pytest.approx(float(probabilities[:end].mean()))
        assert 0 <= answer.confidence.min <= answer.confidence.mean <= 1
    ids, probabilities = torch.tensor([7, 8, EOS_ID, 9]), torch.tensor([0.5, 1.0, 0.75, 0.1])
    costs = {"nfe": 1, "prefix_tokens": 1, "visual_tokens": 0, "kv_bytes": 0}
    answer = Answer(ids=ids, probabilities=probabilities, stops=frozenset({EOS_ID}), **costs)
    assert (answer.confidence, answer.output_tokens) == (Confidence(0.75, 0.5), 2)
    assert replace(answer, stops=frozenset()).output_tokens == 4


def test_timings_cover_the_whole_call(pipe):
    answer = ask(replace(pipe, selector=shirg_v3(budget=30)), picture(), "What?", timings=True)
    ms = dict(answer.timings_ms)
    assert list(ms) == ["load", "tower", "select", "embed", "prefill", "steps", "decode", "total"]
    assert min(ms.values()) >= 0
    assert ms.pop("tower") + ms.pop("select") <= ms["embed"] + 0.01
    assert sum(ms.values()) - ms["total"] <= ms["total"] + 0.01
    assert len(answer.step_ms) == answer.nfe


def test_nothing_is_timed_unless_asked(pipe):
    answer = ask(pipe, picture(), "What?")
    assert (answer.timings_ms, answer.step_ms) == ({}, ())


def test_a_question_may_show_several_images(pipe):
    pipe = replace(pipe, selector=shirg_v2(budget=20))
    images, question = [picture(), picture(60, 90, "7")], "<image> What? <image> And here?"
    both, one = ask(pipe, [images, picture()], [question, "What?"])
    prefix = pipe.embed([question], [images])
    assert (both.visual_tokens, both.prefix_tokens) == (prefix.visual_tokens[0], prefix.shape[1])
    assert both.layouts == prefix.layouts
    assert [s.indices.tolist() for s in both.selections] == [s.indices.tolist() for s in prefix.selections]
    assert torch.equal(one.ids, ask(pipe, picture(), "What?").ids)
    assert len(one.selections) == 1


def test_a_batch_is_each_of_its_members(pipe):
    pipe = replace(pipe, selector=shirg_v2(budget=20))
    images = [picture(), picture(60, 90, "7"), picture()]
    questions = ["What?", "How much is the total of this page?", "<image> What is it?"]
    together = ask(pipe, images, questions)
    assert_each_alone(pipe, together, images, questions)
    # Shorter prompts are padded, and the padding is paid for.
    longest = max(answer.prefix_tokens for answer in together)
    assert {answer.kv_bytes for answer in together} == {2 * 2 * longest * 64 * 4}


def test_one_image_or_one_question_is_repeated(pipe):
    answers = ask(pipe, picture(), ["What?", "Why?"])
    assert [answer.text for answer in answers] == [ask(pipe, picture(), q).text for q in ("What?", "Why?")]
    assert len(ask(pipe, [picture(), picture(60, 90)], "What?")) == 2
    assert len(ask(pipe, [picture()], "What?")) == 1
    assert pair_up("a", ("x", "y")) == ([["a"], ["a"]], ["x", "y"])


@pytest.mark.parametrize(
    ("images", "questions", "words"),
    [
        (["a", "b"], ["x"], "got 2 and 1"),
        ([], ["x"], "got 0 and 1"),
        ("a", [], "got 1 and 0"),
        ([], "x", "got 0 and 1"),
        (torch.zeros(3, 4, 4), "x", "a Pillow image, the path of one, or None, got a Tensor"),
        (["a", 7], "x", "got a int"),
        ("a", ["x", 7], "a question in words, got a int"),
    ],
)
def test_what_does_not_pair_up(images, questions, words):
    with pytest.raises(ValueError, match=words):
        pair_up(images, questions)


def test_a_question_without_an_image_is_answered_from_its_text(pipe):
    answer = ask(replace(pipe, selector=shirg_v3(budget=20)), None, "What does <image> mean?")
    ids = prompt_ids(pipe.tokenizer, "What does <image> mean?", ChatStyle(), 0)
    (own,) = pipe.model.generate(pipe.model.embed_prompt(ids, []), answer_length=16, **SAMPLING)
    assert torch.equal(answer.ids, own.ids)
    assert (answer.prefix_tokens, answer.visual_tokens) == (len(ids), 0)
    assert answer.selection is None
    assert answer.layout is None
    assert len(ask(pipe, None, ["What?", "Why?"])) == 2


def test_questions_with_and_without_images_share_a_batch(pipe):
    pipe = replace(pipe, selector=shirg_v2(budget=20))
    images, questions = [picture(), None, picture(60, 90, "7")], ["What?", "Why?", "<image> or <image>?"]
    assert_each_alone(pipe, ask(pipe, images, questions), images, questions)


def test_images_come_from_files_too(pipe, tmp_path):
    picture().save(tmp_path / "page.png")
    for path in (tmp_path / "page.png", str(tmp_path / "page.png")):
        assert torch.equal(ask(pipe, path, "What?").ids, ask(pipe, picture(), "What?").ids)
    with pytest.raises(ValueError, match="no such file"):
        ask(pipe, tmp_path / "none.png", "What?")


def test_the_step_callback_sees_the_answer_come(pipe):
    seen = []
    answer = ask(pipe, picture(), "What?", on_step=lambda step, ids: seen.append((step, ids.clone())))
    assert [step for step, _ in seen] == list(range(8))
    assert torch.equal(seen[-1][1][0], answer.ids)
    assert (seen[0][1] == MASK_ID).any()


def test_options_reach_the_sampler(pipe):
    few = pipe(picture(), "What?", max_new_tokens=8, block_length=4, steps=4)
    assert few.nfe == 4
    uncached = pipe(picture(), "What?", max_new_tokens=8, block_length=4, steps=4, cache=False)
    assert torch.equal(few.ids, uncached.ids)
    assert uncached.kv_bytes == 0
    draft = torch.tensor([pipe.tokenizer("so").input_ids])
    assert ask(pipe, picture(), "What?", draft_ids=draft, verify_cache=True).ids[:2].tolist() == draft[0].tolist()


@pytest.mark.parametrize("method", [name for name, m in METHODS.items() if not (m.only or m.later or m.fixed_views)])
@pytest.mark.parametrize("views", ["anyres", "single", "single384", "pooled_base"])
def test_no_selector_and_no_view_changes_the_cache(pipe, method, views):
    chosen = with_method(pipe, method, 40 if views == "pooled_base" else 12, views, None)
    answer = ask(chosen, picture(), "What?", verify_cache=True)
    assert torch.equal(answer.ids, ask(chosen, picture(), "What?", cache=False).ids)


def test_the_seed_reaches_a_randomised_static_selection(pipe):
    for later, seed in (("static=random", 3), ("static=random:seed=5", 5)):
        assert with_method(pipe, "rerank", 12, None, 3, later=later).selector.selector.seed == seed


def test_text_stops_at_the_end(pipe):
    ids = torch.tensor([*pipe.tokenizer("yes").input_ids, MASK_ID, EOS_ID, 5, 6])
    assert pipe.text(ids) == "yes"


def test_what_the_checkpoint_recommends(model, tmp_path):
    own = shutil.copytree(model, tmp_path / "own")
    set_config(own, shirg={"system": None, "released_ids": False, "views": "single384"})
    pipe = LavidaPipeline.from_pretrained(own)
    assert (pipe.views, pipe.chat) == ("single384", ChatStyle(None, released_ids=False))
    assert ask(pipe, picture(), "What?").layout.n_tokens == 36
    assert LavidaPipeline.from_pretrained(own, views="anyres").views == "anyres"
    assert LavidaPipeline.from_pretrained(own, views="").views == "", "an empty name is refused where it is used"
    set_config(own, shirg={"vews": "single384"})
    with pytest.raises(ValueError, match=r"shirg\.vews is unknown"):
        LavidaPipeline.from_pretrained(own)


def test_context_is_checked_before_and_after_the_image(pipe):
    with pytest.raises(ValueError, match=r"max_new_tokens=4096 leaves no room .* 4096"):
        pipe(picture(), "What?", max_new_tokens=4096)
    for length in (8.0, "8"):
        with pytest.raises(ValueError, match=f"max_new_tokens must be an integer ≥ 1, got {length!r}"):
            pipe(picture(), "What?", max_new_tokens=length)
    with pytest.raises(ValueError, match="answer has 3968 tokens"):
        pipe(picture(), "What?", max_new_tokens=3968)


def test_bad_input_is_named(pipe, model, tmp_path):
    with pytest.raises(ValueError, match="question is empty"):
        ask(pipe, picture(), [""])
    with pytest.raises(ValueError, match="schedule must be one of"):
        ask(pipe, picture(), "What?", schedule="sometimes")
    with pytest.raises(TypeError, match="selecter"):
        LavidaPipeline.from_pretrained(model, selecter=None)
    with pytest.raises(FileNotFoundError, match="neither a folder nor a hub id"):
        LavidaPipeline.from_pretrained(tmp_path / "none")
    with pytest.raises(FileNotFoundError, match=r"no adapter .*: adapter_config\.json is missing"):
        LavidaPipeline.from_pretrained(model, adapter=tmp_path)
    bare = shutil.copytree(model, tmp_path / "bare")
    (bare / "tokenizer.json").unlink()
    with pytest.raises(FileNotFoundError, match="no tokenizer"):
        LavidaPipeline.from_pretrained(bare)


def test_unrelated_questions_keep_different_tokens_under_lavidas_chat(pipe):
    """The template's own words are in every prompt, so a choice that sees them hardly depends on the question."""
    pipe = replace(pipe, selector=shirg_v2(budget=20))
    assert pipe.chat == ChatStyle()
    kept = [set(ask(pipe, picture(), question).selection.indices[0].tolist()) for question in ("QXJ 137", "zkv + &")]
    assert len(kept[0] & kept[1]) < 10


def test_a_question_without_words_is_refused(pipe):
    with pytest.raises(ValueError, match="no words"):
        ask(pipe, picture(), "<image><|eot_id|>")


def test_the_selector_may_be_shown_a_part_of_the_question(pipe):
    pipe = replace(pipe, selector=shirg_v2(budget=20))
    whole = "zkv + &\nAnswer with one word."
    part = pipe.embed([whole], [[picture()]], words=["zkv + &"])
    chosen = part.selections[0].indices
    assert torch.equal(chosen, pipe.embed(["zkv + &"], [[picture()]]).selections[0].indices)
    assert not torch.equal(chosen, pipe.embed([whole], [[picture()]]).selections[0].indices)
    # The prompt stays whole.
    text = len(prompt_ids(pipe.tokenizer, whole, pipe.chat)) - 1
    assert part.shape[1] - part.visual_tokens[0] == text
