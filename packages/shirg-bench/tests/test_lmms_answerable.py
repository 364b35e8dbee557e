"""What stops before the first answer, and what a question may be made of."""

import pytest
from PIL import Image

from shirg_bench.lmms import model as module
from shirg_bench.lmms.model import ShirgLavida
from shirg_bench.lmms.request import read_requests
from shirg_core.budget import BudgetError
from shirg_lavida import LavidaPipeline
from shirg_lavida.config import IMAGE_TOKEN_ID
from shirg_lavida.prompt import chat
from shirg_lavida.prompt.chat import prompt_ids
from shirg_lavida.prompt.context import answer_context

from .lmms_setup import LONG, SHORT, picture, request, texts


@pytest.mark.parametrize(
    ("images", "text"),
    [
        ([], "What?"),
        ([None], "What?"),
        ([], "What does <image> mean?"),
        ([picture()], "<image> or <image>?"),
    ],
    ids=["no image", "an empty field", "a word", "two words, one image"],
)
@pytest.mark.parametrize("method", ["v2", "pooling"])
def test_text_alone_is_answered_and_never_a_placeholder(folder, images, text, method):
    data = {"a": {"test": [[picture("7")], images, [picture("8")]]}}
    how = {"method": method, "budget": "0.5" if method == "v2" else None}
    lm = ShirgLavida(pretrained=str(folder), device="cpu", batch_size=3, **how)
    lm.task_dict = data
    results = lm.generate_until([request("a", i, SHORT, text if i == 1 else "Which?") for i in range(3)])
    pipe = lm.pipe
    shown = [image for image in images if image is not None]
    ids = prompt_ids(pipe.tokenizer, text, pipe.chat, len(shown))
    assert ids.tolist().count(IMAGE_TOKEN_ID) == len(shown)
    alone = pipe(shown[0] if shown else None, text, max_new_tokens=8)
    assert texts(results)[1] == alone.text
    counts = results[1].token_counts.to_dict()
    assert (counts["input_tokens"], counts["visual_tokens"]) == (alone.prefix_tokens, alone.visual_tokens)
    assert (counts["visual_tokens"] == 0) == (not shown)


def test_a_task_that_mixes_text_and_images_says_where_they_stand(load, monkeypatch):
    seen = []
    real = chat.split_at_images
    monkeypatch.setattr(chat, "split_at_images", lambda *given: seen.append(real(*given)) or seen[-1])
    data = {"a": {"test": [[picture("1"), picture("2")]]}}
    load(data).generate_until([request("a", 0, SHORT, "Is it <image> or <image>?")])
    # The selector's words come without places of images.
    assert set(map(tuple, seen)) == {("Is it ", " or ", "?"), ("Is it or ?",)}


@pytest.mark.parametrize(
    ("images", "text", "message"),
    [
        (["nowhere.png"], "What?", r"nowhere\.png: no such file"),
        ([picture()], " ", "the question is empty"),
        ([], "\n", "the question is empty"),
        ([picture()], "word " * 5000, r"the prompt's text has \d+ tokens, its 1 image"),
        ([], "word " * 5000, r"the prompt's text has \d+ tokens, its 0 image"),
        ([picture()] * 100, "What?", r"the prompt's text has \d+ tokens, its 100 image"),
    ],
)
def test_what_cannot_be_answered_stops_before_any_answer(load, monkeypatch, images, text, message):
    monkeypatch.setattr(module, "answer", None)
    lm = load({"a": {"test": [[picture()], images]}})
    monkeypatch.setattr(LavidaPipeline, "embed", None)
    with pytest.raises(ValueError, match=f"^task 'a', document 1: {message}"):
        lm.generate_until([request("a", 0, SHORT), request("a", 1, SHORT, text)])


@pytest.mark.parametrize("arguments", [{}, {"positions": "original"}, {"method": "full", "budget": None}], ids=str)
def test_the_check_is_exact_where_the_context_ends(folder, arguments):
    lm = ShirgLavida(pretrained=str(folder), device="cpu", **{"method": "v3", "budget": "0.5"} | arguments)
    lm.task_dict = {"a": {"test": [[picture()]]}}

    def end(n):
        prefix = lm.pipe.embed(["x" * n], [[picture()]])
        return int(answer_context(prefix, 8, 10_000).answer_positions.max()) + 1

    def check(n):
        lm.check(read_requests([request("a", 0, SHORT, "x" * n)], lm.sampling))

    longest = 1 + 4096 - end(1)
    assert end(longest) == 4096
    check(longest)
    with pytest.raises(ValueError, match=r"document 0: .* the model's context holds 4096"):
        check(longest + 1)


def test_every_image_can_serve_the_budget_before_any_answer(folder, monkeypatch):
    monkeypatch.setattr(module, "answer", None)
    data = {"a": {"test": [[Image.new("RGB", (48, 48))], [Image.new("RGB", (48, 4))]]}}
    for method, budget, message in (
        ("v2", 100, "document 1: budget K=100 is larger than the 60 selectable"),
        ("uniform", 100, "document 1: budget K=100 is larger than the 60 selectable"),
        ("v2", 4, "document 0: budget K=4 is smaller than the 5 tokens that coverage needs"),
    ):
        lm = ShirgLavida(pretrained=str(folder), method=method, budget=budget, views="anyres_full", device="cpu")
        lm.task_dict = data
        with pytest.raises(ValueError, match=f"^task 'a', {message}") as error:
            lm.generate_until([request("a", i, SHORT) for i in (0, 1)])
        assert isinstance(error.value.__cause__, BudgetError)


def test_a_first_round_that_cannot_be_answered_stops_before_any_answer(load, monkeypatch):
    monkeypatch.setattr(module, "answer", None)
    lm, asked = load({"a": {"test": [[picture()], []]}}), [request("a", i, LONG, "word " * 5000 * i) for i in (0, 1)]
    for one in asked:
        one.args = ("What?" if one is asked[0] else one.args[0], *one.args[1:3], None, *one.args[3:])
    with pytest.raises(ValueError, match=r"^task 'a', document 1: the prompt's text has"):
        lm.generate_until_multi_round(asked)


def test_an_unknown_generation_argument_stops_before_any_answer(load, monkeypatch):
    monkeypatch.setattr(module, "answer", None)
    with pytest.raises(ValueError, match="unknown generation argument 'refix_lm'"):
        load().generate_until([request("a", 0, SHORT), request("a", 1, {"refix_lm": True})])


def test_a_question_without_words_is_refused_before_the_first_answer(load, monkeypatch):
    monkeypatch.setattr(module, "answer", None)
    with pytest.raises(ValueError, match="task 'a', document 1: the question has no words"):
        load().generate_until([request("a", 0, SHORT), request("a", 1, SHORT, "<|eot_id|>")])
