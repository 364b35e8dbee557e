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


def test_a_damaged_line_is_an_error(tmp_path):
    (tmp_path / "answers_0.jsonl").write_text('{"key": 1}\n', encoding="utf-8")
    with pytest.raises(ValueError, match="line 1: not a journal entry"):
        Journal(tmp_path)


def test_without_a_folder_nothing_is_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Journal(None).add("key", [REPLY])
    assert not list(tmp_path.iterdir())
