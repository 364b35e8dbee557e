import pytest

from shirg_bench.lmms.journal import Journal
from shirg_bench.lmms.reply import Reply

REPLY = Reply("42 \n é", 90, 3, 70, 1024, 8, 1, 12.5, 1.0, 2.0, 3.0)


def test_replies_come_back(tmp_path):
    Journal(tmp_path / "a").add("key", [REPLY, REPLY])
    assert Journal(tmp_path / "a").find("key") == [REPLY, REPLY]
    assert Journal(tmp_path / "a").find("other") is None


def test_every_rank_reads_all_files(tmp_path):
    Journal(tmp_path, 0).add("zero", [REPLY])
    Journal(tmp_path, 1).add("one", [REPLY])
    again = Journal(tmp_path, 0)
    assert again.find("zero") == again.find("one") == [REPLY]


def test_a_torn_line_is_dropped_and_not_written_onto(tmp_path):
    Journal(tmp_path).add("whole", [REPLY])
    path = tmp_path / "answers_0.jsonl"
    path.write_bytes(path.read_bytes() + b'{"key": "torn", "replies": [{"te')
    resumed = Journal(tmp_path)
    assert resumed.find("torn") is None
    resumed.add("next", [REPLY])
    again = Journal(tmp_path)
    assert again.find("whole") == again.find("next") == [REPLY]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\0" * 40,
        b'{"key": 1}',
        b"[]",
        b'{"key": "lost", "replies": [{"text": "4',
        b'{"key": "k", "replies": "\xff\xfe"}',
    ],
    ids=["blank", "zeroed", "no replies", "no entry", "half", "no text"],
)
def test_a_damaged_line_is_set_aside_and_the_others_count(tmp_path, line):
    Journal(tmp_path).add("before", [REPLY])
    path = tmp_path / "answers_0.jsonl"
    path.write_bytes(path.read_bytes() + line + b"\n")
    Journal(tmp_path).add("after", [REPLY])
    resumed = Journal(tmp_path)
    assert resumed.find("before") == resumed.find("after") == [REPLY]
    assert resumed.damaged == ["answers_0.jsonl, line 2"]


def test_an_entry_right_behind_zeros_counts(tmp_path):
    path = tmp_path / "answers_0.jsonl"
    Journal(tmp_path).add("whole", [REPLY])
    path.write_bytes(b"\0" * 100 + path.read_bytes())
    resumed = Journal(tmp_path)
    assert resumed.find("whole") == [REPLY]
    assert resumed.damaged == []


def test_without_a_folder_nothing_is_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Journal(None).add("key", [REPLY])
    assert not list(tmp_path.iterdir())
