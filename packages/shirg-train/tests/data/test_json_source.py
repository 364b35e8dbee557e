import json

import pytest
from data_files import turns, write_llava

from shirg_train.data import json_source
from shirg_train.data.json_source import JsonSource
from shirg_train.data.record import CorruptSampleError, Turn

AWKWARD = 'é "]},{[ \\ '


def test_reads_lcs_558k(tmp_path):
    source = JsonSource(write_llava(tmp_path, 5), tmp_path / "images")
    assert len(source) == 5
    record = source.read(4)
    assert record.key == "000000004"
    assert record.images == (tmp_path / "images" / "00001" / "000000004.jpg",)
    assert record.turns == (Turn("user", "Say it.\n<image>"), Turn("assistant", "4"))


@pytest.mark.parametrize("chunk", [1, 7, 64, 1 << 20])
@pytest.mark.parametrize("indent", [None, 2])
def test_entries_are_found_whatever_the_pieces_read(tmp_path, monkeypatch, chunk, indent):
    monkeypatch.setattr(json_source, "_CHUNK", chunk)
    entries = [{"id": i, "conversations": turns(AWKWARD + str(i), "?")} for i in range(6)]
    path = tmp_path / "talk.json"
    path.write_text(" \n" + json.dumps(entries, indent=indent, ensure_ascii=False) + "\n", encoding="utf-8")
    source = JsonSource(path, tmp_path)
    assert [source.read(i).turns[1].text for i in range(len(source))] == [AWKWARD + str(i) for i in range(6)]


@pytest.mark.parametrize(("text", "n"), [("[]", 0), ("[ ]", 0), ('[{"id": 1}]', 1)])
def test_short_lists(tmp_path, text, n):
    (tmp_path / "a.json").write_text(text, encoding="utf-8")
    assert len(JsonSource(tmp_path / "a.json", tmp_path)) == n


@pytest.mark.parametrize(
    ("text", "byte"), [("", 0), ('{"a": 1}', 0), ('[{"é": 1}, {"b"', 16), ('[{"a": 1} {"b": 2}]', 10), ("[1, nope]", 4)]
)
def test_a_broken_file_is_refused_with_the_place(tmp_path, text, byte):
    (tmp_path / "a.json").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=rf"a\.json: not a JSON list.* at byte {byte}"):
        JsonSource(tmp_path / "a.json", tmp_path)


def test_lines_may_be_broken_one_by_one(tmp_path):
    good = json.dumps({"id": "x", "image": ["a.png", "b.png"], "conversations": turns("yes")})
    (tmp_path / "a.jsonl").write_text(f"{good}\n\n{good[:-5]}\n3\n{good}", encoding="utf-8")
    source = JsonSource(tmp_path / "a.jsonl", tmp_path)
    assert len(source) == 4
    assert source.read(3).images == (tmp_path / "a.png", tmp_path / "b.png")
    for broken in (1, 2):
        with pytest.raises(CorruptSampleError, match="json"):
            source.read(broken)


@pytest.mark.parametrize(
    "entry",
    [{"image": 3, "conversations": turns("a")}, {"conversations": "hello"}, {"conversations": [{"from": "cat"}]}, {}],
)
def test_an_entry_of_another_shape_is_corrupt(tmp_path, entry):
    (tmp_path / "a.json").write_text(json.dumps([entry]), encoding="utf-8")
    with pytest.raises(CorruptSampleError):
        JsonSource(tmp_path / "a.json", tmp_path).read(0)


def test_missing_folders_are_named(tmp_path):
    path = write_llava(tmp_path, 1)
    with pytest.raises(FileNotFoundError, match="no image folder"):
        JsonSource(path, tmp_path / "nowhere")
