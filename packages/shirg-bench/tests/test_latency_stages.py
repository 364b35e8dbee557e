"""Stages are timed from outside: what is computed stays what the model computes, and nothing stays hooked."""

import os

import pytest
import torch

from shirg_bench.latency.quiet import one_thread, quiet_profiler
from shirg_bench.latency.stages import answer, embed
from shirg_bench.latency.variant import Variant

from .latency_setup import ticking, tiny_subject


@pytest.mark.parametrize("name", ["pooling", "v2-9", "v3-9"])
def test_the_timed_answer_is_the_pipelines(name):
    subject = tiny_subject()
    pipe = Variant.parse(name).pipeline(subject.pipe, 0)
    told = pipe(subject.page, subject.question, max_new_tokens=8, steps=4)
    embedded = embed(subject, pipe, ticking())
    answered = answer(pipe.model, embedded.prefix, ticking(), answer_length=8, steps=4)
    assert torch.equal(answered.result.ids[0], told.ids)
    assert embedded.prefix.shape[1] == told.prefix_tokens
    assert not pipe.model.tower._forward_hooks
    assert not pipe.model.tower._forward_pre_hooks


def test_a_tick_a_stage():
    subject = tiny_subject()
    embedded = embed(subject, Variant.parse("v3-9").pipeline(subject.pipe, 0), ticking())
    # Time is asked for at the start, around the tower, around the selector, and at the end.
    assert (embedded.embed_ms, embedded.tower_ms, embedded.select_ms) == (5, 1, 1)
    assert embed(subject, subject.pipe, ticking()).select_ms == 0

    answered = answer(subject.pipe.model, embedded.prefix, ticking(), answer_length=4, steps=2)
    assert (answered.prefill_ms, answered.step_ms, answered.answer_ms) == (1, (1, 1), 5)
    uncached = answer(subject.pipe.model, embedded.prefix, ticking(), answer_length=4, steps=2, cache=False)
    assert (uncached.prefill_ms, uncached.step_ms, uncached.answer_ms) == (0, (1, 1), 3)


def test_hooks_go_when_the_tower_fails(monkeypatch):
    subject = tiny_subject()

    def fail(*_given, **_named):
        raise ZeroDivisionError

    monkeypatch.setattr(type(subject.pipe.model.tower), "forward", fail)
    with pytest.raises(ZeroDivisionError):
        embed(subject, subject.pipe, ticking())
    assert not subject.pipe.model.tower._forward_hooks


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
