"""Stages are timed where they happen: what is computed stays what the pipeline computes."""

import os

import pytest
import torch

from shirg_bench.latency import stages
from shirg_bench.latency.quiet import one_thread, quiet_profiler
from shirg_bench.latency.stages import answer, embed
from shirg_bench.latency.variant import Variant

from .latency_setup import TickingClock, tiny_subject


@pytest.mark.parametrize("name", ["pooling", "v2-9", "v3-9"])
def test_the_timed_answer_is_the_pipelines(name):
    subject = tiny_subject()
    pipe = Variant.parse(name).pipeline(subject.pipe, 0)
    told = pipe(subject.page, subject.question, max_new_tokens=8, steps=4)
    prefix, _ = embed(subject, pipe)
    answered = answer(pipe.model, prefix, answer_length=8, steps=4)
    assert torch.equal(answered.ids, told.ids)
    assert answered.prefix_tokens == told.prefix_tokens


def test_a_tick_a_stage(monkeypatch):
    monkeypatch.setattr(stages, "Clock", TickingClock)
    subject = tiny_subject()
    prefix, ms = embed(subject, Variant.parse("v3-9").pipeline(subject.pipe, 0))
    # Time is asked for at the start, around the tower, around the selector, and at the end.
    assert ms == {"embed": 5, "tower": 1, "select": 1}
    assert embed(subject, subject.pipe)[1] == {"embed": 3, "tower": 1, "select": 0}

    answered = answer(subject.pipe.model, prefix, answer_length=4, steps=2)
    assert (answered.timings_ms, answered.step_ms) == ({"prefill": 1, "steps": 2, "answer": 7}, (1, 1))
    uncached = answer(subject.pipe.model, prefix, answer_length=4, steps=2, cache=False)
    assert (uncached.timings_ms, uncached.step_ms) == ({"prefill": 0, "steps": 2, "answer": 5}, (1, 1))


def test_one_thread_is_given_back():
    before = torch.get_num_threads()
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


def test_the_profilers_log_is_dropped_and_stderr_comes_back(capfd):
    def chatter():
        with quiet_profiler():
            os.write(2, b"chatter")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        chatter()
    os.write(2, b"news")
    assert capfd.readouterr().err == "news"
