from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest

from shirg_bench.accuracy.answers import Answers
from shirg_bench.results.journal import Journal


@dataclass(frozen=True)
class Reply:
    text: str
    step_ms: float


REPLY = Reply("42 \n é", 12.5)


def decode(value):
    return [Reply(**reply) for reply in value]


journal = partial(Journal, decode=decode)


def test_replies_come_back(tmp_path):
    journal(tmp_path / "a").add("key", [REPLY, REPLY])
    assert journal(tmp_path / "a").find("key") == [REPLY, REPLY]
    assert journal(tmp_path / "a").find("other") is None


def test_a_value_is_found_by_the_process_that_added_it(tmp_path):
    here = journal(tmp_path)
    here.add("key", [REPLY])
    assert here.find("key") == [REPLY]


def test_arrays_come_back_exactly(tmp_path):
    one = Answers(
        np.arange(8).reshape(2, 2, 2),
        np.array([[True, False], [False, False]]),
        np.full((2, 2), 3),
        np.array([[1.0, np.nan], [0.0, 3.0]]),
        np.full((2, 2), 4),
        np.array([[1 / 3, np.nan], [0.0, 1.0]]),
        np.array([7.5, np.pi]),
        np.array([8.0, 0.0]),
        np.array([[0, 1], [2, 0]]),
    )
    Journal(tmp_path, Answers.decoded).add("key", one)
    again = Journal(tmp_path, Answers.decoded).find("key")
    for name, array in vars(one).items():
        np.testing.assert_array_equal(getattr(again, name), array)
        assert getattr(again, name).dtype == array.dtype


def test_answers_of_before_adaptive_budgets_took_no_probes():
    one = {name: [[1]] for name in ("given", "correct", "kept", "base", "visual", "shown", "nll", "scored")}
    assert Answers.decoded(one).probes.tolist() == [[0]]


def test_every_rank_reads_all_files(tmp_path):
    journal(tmp_path, rank=0).add("zero", [REPLY])
    journal(tmp_path, rank=1).add("one", [REPLY])
    again = journal(tmp_path, rank=0)
    assert again.find("zero") == again.find("one") == [REPLY]


def test_a_torn_line_is_dropped_and_not_written_onto(tmp_path):
    journal(tmp_path).add("whole", [REPLY])
    path = tmp_path / "answers_0.jsonl"
    path.write_bytes(path.read_bytes() + b'{"key": "torn", "value": [{"te')
    resumed = journal(tmp_path)
    assert resumed.find("torn") is None
    resumed.add("next", [REPLY])
    again = journal(tmp_path)
    assert again.find("whole") == again.find("next") == [REPLY]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\0" * 40,
        b'{"key": 1}',
        b"[]",
        b'{"key": "lost", "value": [{"text": "4',
        b'{"key": "k", "value": "\xff\xfe"}',
    ],
    ids=["blank", "zeroed", "no value", "no entry", "half", "no text"],
)
def test_a_damaged_line_is_set_aside_and_the_others_count(tmp_path, line):
    journal(tmp_path).add("before", [REPLY])
    path = tmp_path / "answers_0.jsonl"
    path.write_bytes(path.read_bytes() + line + b"\n")
    journal(tmp_path).add("after", [REPLY])
    resumed = journal(tmp_path)
    assert resumed.find("before") == resumed.find("after") == [REPLY]
    assert resumed.damaged == ["answers_0.jsonl, line 2"]


def test_an_entry_right_behind_zeros_counts(tmp_path):
    path = tmp_path / "answers_0.jsonl"
    journal(tmp_path).add("whole", [REPLY])
    path.write_bytes(b"\0" * 100 + path.read_bytes())
    resumed = journal(tmp_path)
    assert resumed.find("whole") == [REPLY]
    assert resumed.damaged == []


def test_without_a_folder_nothing_is_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    journal(None).add("key", [REPLY])
    assert not list(tmp_path.iterdir())
