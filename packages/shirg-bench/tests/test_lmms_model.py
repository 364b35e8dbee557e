"""The model's answers to requests, without lmms-eval's evaluator."""

import copy
from dataclasses import replace

import pytest
import torch
from lmms_eval.api.instance import unwrap_generation_output
from lmms_eval.models.model_utils.gen_metrics import get_logged_metrics_history, reset_logged_metrics
from PIL import Image

from shirg_bench.lmms import costs, digest, questions
from shirg_bench.lmms import model as module
from shirg_bench.lmms import request as request_module
from shirg_bench.lmms.costs import AnswerCosts
from shirg_bench.lmms.manifest import manifests
from shirg_bench.lmms.model import ShirgLavida
from shirg_bench.lmms.request import as_image, read_requests
from shirg_core import shirg_v3
from shirg_core.budget import BudgetError
from shirg_lavida import LavidaPipeline
from shirg_lavida.config import IMAGE_TOKEN_ID
from shirg_lavida.prompt import chat
from shirg_lavida.prompt.chat import prompt_ids
from shirg_lavida.prompt.context import answer_context

from .lmms_setup import picture, request, tiny_model

SHORT, LONG = {"max_new_tokens": 8, "until": ["\n\n"]}, {"max_new_tokens": 16, "block_length": 8, "schedule": "shift"}
DATA = {task: {"test": [[picture(f"{task}{i}")] for i in range(4)]} for task in ("a", "b")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("lavida"))


@pytest.fixture
def load(folder):
    def build(data=DATA, **arguments):
        lm = ShirgLavida(pretrained=str(folder), method="v3", budget="0.5", device="cpu", **arguments)
        lm.task_dict = data
        return lm

    return build


def mixed():
    """Two tasks and two ways of sampling, shuffled."""
    plan = [("b", 1, LONG), ("a", 0, SHORT), ("a", 3, LONG), ("b", 0, SHORT), ("a", 1, SHORT), ("b", 2, LONG)]
    return [request(task, i, copy.deepcopy(how), f"What is {task}{i}?") for task, i, how in plan]


def texts(results):
    return [unwrap_generation_output(result)[0] for result in results]


def test_answers_are_the_pipelines(load, folder):
    pipe = LavidaPipeline.from_pretrained(folder, selector=shirg_v3(budget=0.5), views="single")
    given = mixed()
    expected = []
    for one in given:
        text, how, _, doc_id, task, _ = one.args
        options = {name: value for name, value in how.items() if name != "until"}
        expected.append(pipe(DATA[task]["test"][doc_id][0], text, **options))
    results = load().generate_until(given)
    assert texts(results) == [answer.text.split("\n\n")[0].strip() for answer in expected]
    for result, answer in zip(results, expected, strict=True):
        counts = result.token_counts.to_dict()
        assert counts["input_tokens"] == answer.prefix_tokens
        assert counts["visual_tokens"] == answer.visual_tokens
        assert counts["kv_bytes"] == answer.kv_bytes
        assert counts["nfe"] == answer.nfe
        assert counts["latency_ms"] >= counts["embed_ms"] > 0
        assert counts["prefill_ms"] > 0 < counts["step_ms"]


def test_requests_stay_as_they_are(load):
    given = mixed()
    before = [copy.deepcopy(one.args[1]) for one in given]
    load().generate_until(given)
    assert [one.args[1] for one in given] == before


def test_batches_hold_one_task_and_one_way_of_sampling(load, monkeypatch):
    sizes = []
    real = module.answer
    monkeypatch.setattr(
        module,
        "answer",
        lambda pipe, questions, *a, **k: (sizes.append([q.text for q in questions]), real(pipe, questions, *a, **k))[1],
    )
    results = load(batch_size=2).generate_until(mixed())
    assert sizes == [
        ["What is b1?", "What is b2?"],
        ["What is a0?", "What is a1?"],
        ["What is a3?"],
        ["What is b0?"],
    ]
    # In float32 on this model a batch changes nothing but the last bits.
    assert texts(results) == texts(load().generate_until(mixed()))


def test_throughput_is_logged(load):
    reset_logged_metrics()
    load().generate_until(mixed())
    (logged,) = get_logged_metrics_history()
    assert logged["total_elapsed_time"] > 0
    assert logged["num_requests"] == 6
    for name in ("prefill_ms", "step_ms", "peak_rss_mib", "visual_tokens", "kv_bytes"):
        assert logged[name] > 0, name


def test_throughput_is_that_of_all_processes(monkeypatch):
    one = AnswerCosts(9, 4, None, 5, 1000, 8, latency_ms=500.0, embed_ms=1.0, prefill_ms=2.0, step_ms=3.0)
    shares = [([one, replace(one, step_ms=6.0)], {"peak_rss_mib": 7.0}), ([], {"peak_rss_mib": 9.0})]
    monkeypatch.setattr(costs, "_all_processes", lambda own: [*shares, own])
    reset_logged_metrics()
    costs.log_costs([replace(one, step_ms=9.0)], torch.device("cpu"))
    (logged,) = get_logged_metrics_history()
    assert (logged["processes"], logged["num_requests"], logged["total_gen_tokens"]) == (3, 3, 12)
    assert (logged["total_elapsed_time"], logged["avg_speed"], logged["step_ms"]) == (1.0, 12.0, 6.0)
    assert logged["peak_rss_mib"] > 9


def test_a_process_without_questions_takes_part(load, monkeypatch):
    shared = []
    monkeypatch.setattr(costs, "_all_processes", lambda own: shared.append(own) or [own])
    reset_logged_metrics()
    load().generate_until([request("a", 0, SHORT, __padding_only__=True)])
    assert [share for share, _ in shared] == [[]]
    assert get_logged_metrics_history() == []


def test_padding_is_not_answered(load, monkeypatch):
    lm = load()
    monkeypatch.setattr(module, "answer", None)
    assert texts(lm.generate_until([request("a", 0, SHORT, __padding_only__=True)])) == [""]


def test_a_killed_run_goes_on_where_it_stood(load, tmp_path, monkeypatch):
    class KilledError(Exception):
        pass

    def kill(done, _total):
        if done >= 4:
            raise KilledError

    hot = [request(*(one.args[4], one.args[3]), {**one.args[1], "temperature": 0.7}, one.args[0]) for one in mixed()]
    calls = []
    real = module.answer
    monkeypatch.setattr(module, "answer", lambda *a, **k: (calls.append(1), real(*a, **k))[1])
    uninterrupted = load(batch_size=2).generate_until(hot)
    calls.clear()
    with pytest.raises(KilledError):
        load(batch_size=2, journal=str(tmp_path), on_progress=kill).generate_until(hot)
    assert len(calls) == 2
    resumed = load(batch_size=2, journal=str(tmp_path)).generate_until(hot)
    assert len(calls) == 4
    assert texts(resumed) == texts(uninterrupted)
    load(batch_size=2, journal=str(tmp_path)).generate_until(hot)
    assert len(calls) == 4


def test_a_damaged_line_of_the_journal_is_said_and_only_its_answers_are_given_again(load, tmp_path, monkeypatch):
    calls, notes = [], []
    real = module.answer
    monkeypatch.setattr(module, "answer", lambda *a, **k: (calls.append(1), real(*a, **k))[1])
    first = load(journal=str(tmp_path)).generate_until(mixed())
    path = tmp_path / "answers_0.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join([lines[0], "\n", "\0" * 30 + "\n", *lines[3:]]), encoding="utf-8")
    again = load(journal=str(tmp_path), on_note=notes.append).generate_until(mixed())
    assert len(calls) == 6 + 2
    assert texts(again) == texts(first)
    where = "answers_0.jsonl, line 2; answers_0.jsonl, line 3"
    assert notes == [f"2 damaged line(s) of the journal, answered again: {where}"]


@pytest.mark.parametrize(
    "change",
    [{"seed": 1}, {"budget": "0.25"}, {"method": "uniform"}, {"cache": False}, {"views": "single384"}],
    ids=lambda change: next(iter(change)),
)
def test_a_journal_answers_only_the_same_question(folder, tmp_path, monkeypatch, change):
    calls = []
    real = module.answer
    monkeypatch.setattr(module, "answer", lambda *a, **k: (calls.append(1), real(*a, **k))[1])
    for arguments in ({}, {}, change):
        given = {"method": "v3", "budget": "0.5", **arguments}
        lm = ShirgLavida(pretrained=str(folder), device="cpu", journal=str(tmp_path), **given)
        lm.task_dict = DATA
        lm.generate_until([request("a", 0, SHORT)])
    assert len(calls) == 2


def test_other_weights_images_or_sampling_are_other_questions(load, tmp_path, monkeypatch):
    calls = []
    real = module.answer
    monkeypatch.setattr(module, "answer", lambda *a, **k: (calls.append(1), real(*a, **k))[1])

    def ask(data=DATA, how=SHORT, text="What?", weights=0.0):
        lm = load(data, journal=str(tmp_path))
        lm.pipe.model.projector.get_parameter("0.weight").data.add_(weights)
        lm.generate_until([request("a", 0, how, text)])
        return len(calls)

    assert ask() == 1 == ask()
    assert ask(weights=1e-3) == 2
    assert ask(data={"a": {"test": [[picture("other")]]}}) == 3
    assert ask(how={**SHORT, "step_ratio": 0.5}) == 4
    assert ask(text="Why?") == 5


def test_repeats_draw_anew(load):
    hot = {"max_new_tokens": 16, "temperature": 1.0, "do_sample": True}
    first, second = texts(load().generate_until([request("a", 0, hot), request("a", 0, hot)]))
    assert first != second
    assert texts(load().generate_until([request("a", 0, hot)])) == [first]


def test_several_images_and_other_modes(load):
    data = {"a": {"test": [[picture("1", "L"), picture("2", "RGBA")], ["nothing"], [], [b"video"]]}}
    (one,) = load(data).generate_until([request("a", 0, SHORT, "Which?")])
    (single,) = load().generate_until([request("a", 0, SHORT, "Which?")])
    assert one.token_counts.to_dict()["visual_tokens"] == 2 * single.token_counts.to_dict()["visual_tokens"]
    with pytest.raises(ValueError, match="task 'a', document 3: shirg_lavida sees images, got a bytes"):
        load(data).generate_until([request("a", 3, SHORT)])


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


def test_a_picture_and_its_file_are_the_same_pixels(tmp_path):
    clear = Image.new("RGBA", (8, 6), (0, 0, 0, 0))
    clear.save(tmp_path / "clear.png")
    from_file, held = as_image(str(tmp_path / "clear.png"), "here"), as_image(clear, "here")
    assert held.tobytes() == from_file.tobytes() == b"\xff" * (8 * 6 * 3)


@pytest.mark.parametrize("suffix", ["jpg", "tiff", "png"])
def test_a_turned_picture_and_its_file_are_the_same_pixels(tmp_path, suffix):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / f"turned.{suffix}"
    picture("7").save(path, exif=exif)
    with Image.open(path) as opened:
        held = as_image(opened, "here")
    assert held.size == picture("7").size[::-1]
    assert held.tobytes() == as_image(str(path), "here").tobytes() == as_image(held, "here").tobytes()


def test_answers_of_edited_code_are_not_those_in_the_journal(folder, monkeypatch):
    pipe = LavidaPipeline.from_pretrained(folder)
    before = digest.run_digest(pipe, 0)
    assert digest.run_digest(pipe, 0) == before
    monkeypatch.setattr(digest, "source_digest", lambda _: "edited")
    assert digest.run_digest(pipe, 0) != before


def test_an_unknown_generation_argument_stops_before_any_answer(load, monkeypatch):
    monkeypatch.setattr(module, "answer", None)
    with pytest.raises(ValueError, match="unknown generation argument 'refix_lm'"):
        load().generate_until([request("a", 0, SHORT), request("a", 1, {"refix_lm": True})])


def test_rounds_follow_the_task(load):
    seen = []

    def next_round(_doc, previous_output, round_idx, previous_round_info):
        seen.append((list(previous_output), round_idx, previous_round_info))
        text = f"Round {round_idx}?"
        return [picture("next")], text, round_idx == 3, previous_output, {"round": round_idx}

    first = request("a", 0, LONG, "Round 0?")
    context, how, visuals, doc_id, task, split = first.args
    first.args = (context, how, visuals, next_round, doc_id, task, split)
    (answers,) = load().generate_until_multi_round([first])
    assert len(answers) == 3
    assert [(len(outputs), number, info) for outputs, number, info in seen] == [
        (1, 1, None),
        (2, 2, {"round": 1}),
        (3, 3, {"round": 2}),
    ]
    (alone,) = load().generate_until([request("a", 0, LONG, "Round 0?")])
    assert answers[0] == alone.text
    assert unwrap_generation_output(answers)[0] == answers


def test_an_answer_depends_on_the_words_that_the_selector_saw(load, monkeypatch):
    monkeypatch.setattr(request_module, "marked", lambda _visuals: ("Answer with one word.",))
    seen, real = [], LavidaPipeline.embed
    monkeypatch.setattr(
        LavidaPipeline, "embed", lambda self, *a, words, **k: seen.append(words) or real(self, *a, words=words, **k)
    )
    load().generate_until([request("a", 0, SHORT, "<image> How many? Answer with one word.")])
    assert seen == [["How many?"]]


def test_a_question_without_words_is_refused_before_the_first_answer(load, monkeypatch):
    monkeypatch.setattr(module, "answer", None)
    with pytest.raises(ValueError, match="task 'a', document 1: the question has no words"):
        load().generate_until([request("a", 0, SHORT), request("a", 1, SHORT, "<|eot_id|>")])


def test_likelihoods_are_refused_with_a_reason(load):
    # Upstream turns the pair into text; when it no longer does, loglikelihood can be built.
    assert unwrap_generation_output((-1.5, True)) == ("(-1.5, True)", None)
    with pytest.raises(NotImplementedError, match="turns the pairs"):
        load().loglikelihood([])


def test_lmms_eval_finds_the_model():
    from lmms_eval.models import get_model

    assert get_model("shirg_lavida") is ShirgLavida
    assert [manifest.model_id for manifest in manifests()] == ["shirg_lavida"]


def test_clean_lets_go_of_the_model(load):
    lm = load()
    lm.generate_until([request("a", 0, SHORT)])
    assert isinstance(lm.__dict__["pipe"], LavidaPipeline)
    lm.clean()
    assert "pipe" not in lm.__dict__


@pytest.mark.parametrize(("room", "decoded"), [(2**30, 6), (0, 12)])
def test_images_are_decoded_once_unless_too_many_wait(load, monkeypatch, room, decoded):
    calls, real = [], request_module.as_image
    monkeypatch.setattr(request_module, "as_image", lambda *a: calls.append(1) or real(*a))
    monkeypatch.setattr(questions, "KEPT_BYTES", room)
    results = load(batch_size=2).generate_until(mixed())
    assert len(calls) == decoded
    assert texts(results) == texts(load(batch_size=2).generate_until(mixed()))
