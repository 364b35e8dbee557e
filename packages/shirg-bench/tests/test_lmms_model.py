"""The model's answers to requests, without lmms-eval's evaluator."""

import copy
import threading
from dataclasses import replace

import pytest
import torch
from lmms_eval.api.instance import unwrap_generation_output
from lmms_eval.models.model_utils.gen_metrics import get_logged_metrics_history, reset_logged_metrics

from shirg_bench.lmms import costs, questions
from shirg_bench.lmms import model as module
from shirg_bench.lmms import request as request_module
from shirg_bench.lmms.costs import AnswerCosts
from shirg_bench.lmms.manifest import manifests
from shirg_bench.lmms.model import ShirgLavida
from shirg_core import shirg_v3
from shirg_lavida import LavidaPipeline

from .lmms_setup import DATA, LONG, SHORT, mixed, picture, request, texts


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
        assert counts["kept_tokens"] == answer.kept_tokens
        assert counts["nfe"] == answer.nfe
        assert counts["latency_ms"] >= counts["embed_ms"] > 0
        assert counts["prefill_ms"] > 0 < counts["step_ms"]


def test_a_budget_per_answer_is_recorded_with_its_forward_passes(load):
    adaptive, fixed = load(budget="auto:4-8@0").generate_until(mixed()), load(budget=8).generate_until(mixed())
    assert texts(adaptive) == texts(fixed)
    for one, other in zip(adaptive, fixed, strict=True):
        assert one.token_counts.kept_tokens == other.token_counts.kept_tokens == 8
        assert one.token_counts.nfe == other.token_counts.nfe + 1


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
    with pytest.raises(ValueError, match="task 'a', document 3: shirg_lavida takes images only, got a bytes"):
        load(data).generate_until([request("a", 3, SHORT)])


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


def test_the_next_batch_is_prepared_while_this_one_is_answered(load, monkeypatch):
    lm, prepared, answered, changed = load(batch_size=2), [], [], threading.Condition()
    prepare, answer = lm.prepare, lm.answer

    def preparing(batch):
        with changed:
            prepared.append([one.number for one in batch])
            changed.notify_all()
        return prepare(batch)

    def answering(ready):
        with changed:
            others = len(answered) + 1 < len(cut)
            assert changed.wait_for(lambda: len(prepared) == len(answered) + 1 + others, timeout=60)
        answered.append([one.number for one in ready.batch])
        return answer(ready)

    given = mixed()
    monkeypatch.setattr(lm, "prepare", preparing)
    monkeypatch.setattr(lm, "answer", answering)
    asked = request_module.read_requests(given, lm.sampling)
    cut = request_module.batches(asked, 2, lambda one: (one.task, one.sampling))
    results = lm.generate_until(given)
    assert len(cut) > 2
    assert answered == prepared == [[one.number for one in batch] for batch in cut]
    assert texts(results) == texts(load(batch_size=2).generate_until(mixed()))


@pytest.mark.parametrize(("room", "decoded"), [(2**30, 6), (0, 12)])
def test_images_are_decoded_once_unless_too_many_wait(load, monkeypatch, room, decoded):
    calls, real = [], request_module.as_image
    monkeypatch.setattr(request_module, "as_image", lambda *a: calls.append(1) or real(*a))
    monkeypatch.setattr(questions, "KEPT_BYTES", room)
    results = load(batch_size=2).generate_until(mixed())
    assert len(calls) == decoded
    assert texts(results) == texts(load(batch_size=2).generate_until(mixed()))
