import stat

import pytest

from shirg_core import files
from shirg_core.files import atomic_folder, atomic_path, read_json


def test_file_appears_whole_with_ordinary_permissions(tmp_path):
    target = tmp_path / "out.json"
    with atomic_path(target) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".json"
        temporary.write_text("new")
        assert not target.exists()
    assert target.read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["out.json"]
    (tmp_path / "plain").write_text("")
    assert stat.S_IMODE(target.stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


def test_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "out.txt"
    target.write_text("old")

    def fail():
        with atomic_path(target) as temporary:
            temporary.write_text("half")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail()
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["out.txt"]


def test_folder_as_target_is_an_error(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"), atomic_path(tmp_path / "folder") as temporary:
        temporary.write_text("x")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_the_longest_name_can_be_written(tmp_path):
    target = tmp_path / ("x" * 250 + ".json")
    with atomic_path(target) as temporary:
        temporary.write_text("new")
    assert target.read_text() == "new"


def content(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}


@pytest.mark.parametrize("durable", [False, True])
def test_a_folder_is_replaced_as_a_whole(tmp_path, durable):
    target = tmp_path / "out"
    target.mkdir()
    (target / "old").write_text("old")
    with atomic_folder(target, durable=durable) as fresh:
        (fresh / "new").write_text("new")
        assert content(target) == {"old": "old"}
    assert content(target) == {"new": "new"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    (tmp_path / "plain").mkdir()
    assert stat.S_IMODE(target.stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


@pytest.mark.parametrize("error", [OSError("full"), KeyboardInterrupt()], ids=["full", "interrupted"])
@pytest.mark.parametrize("at", ["writing", "renaming"])
def test_a_failure_leaves_the_old_folder_and_nothing_else(tmp_path, monkeypatch, error, at):
    target = tmp_path / "out"
    target.mkdir()
    (target / "old").write_text("old")
    rename = type(target).rename

    def fail(self, to):
        if self.name == "fresh":
            raise error
        return rename(self, to)

    def replace():
        with atomic_folder(target) as fresh:
            (fresh / "new").write_text("half")
            if at == "writing":
                raise error
            monkeypatch.setattr(type(target), "rename", fail)

    with pytest.raises(type(error)):
        replace()
    assert content(target) == {"old": "old"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_what_is_durable_is_flushed_before_it_is_named(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(files, "flush", lambda path: seen.append((path.name, (tmp_path / "out").exists())))
    with atomic_folder(tmp_path / "out", durable=True) as fresh:
        (fresh / "weights").write_text("new")
    assert seen == [("weights", False), ("fresh", False), (tmp_path.name, True)]
    seen.clear()
    with atomic_path(tmp_path / "file", durable=True) as temporary:
        temporary.write_text("new")
    assert [name for name, _ in seen] == [temporary.name, tmp_path.name]


def test_a_git_lfs_pointer_is_no_broken_json(tmp_path):
    (tmp_path / "config.json").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")
    with pytest.raises(ValueError, match=r"^a checkpoint: .*config\.json is a git-lfs pointer"):
        read_json(tmp_path / "config.json", "a checkpoint")
