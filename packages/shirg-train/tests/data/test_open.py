import itertools
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from data_files import decode, encode, png, turns, write_llava
from datasets import Dataset

from shirg_core.files import LFS_POINTER
from shirg_lavida.prompt.chat import SYSTEM_PROMPT
from shirg_train.data import DataConfig, open_data
from shirg_train.data.open import LCS_558K


def table(n):
    return {"image": [png(9, 9, i) for i in range(n)], "conversations": [turns(str(i), "?") for i in range(n)]}


def write_parquet(folder):
    pq.write_table(pa.Table.from_pydict(table(6)), folder / "a.parquet")


def write_dataset(folder):
    Dataset.from_dict(table(6)).save_to_disk(folder)


def write_lcs(folder):
    write_llava(folder, 6)


@pytest.mark.parametrize("write", [write_lcs, write_parquet, write_dataset])
def test_every_format_is_told_from_what_is_there(tmp_path, write):
    write(tmp_path)
    opened = open_data(DataConfig(tmp_path, held_out=2, workers=0), encode, seed=1)
    assert opened.samples_per_epoch == 4
    answers = [decode(s.answer_ids) for s in (*opened.held_out, *itertools.islice(opened.stream, 4))]
    assert sorted(answers) == [f"{i}<|eot_id|>" for i in range(6)]


@pytest.mark.parametrize(
    ("write", "files"), [(write_lcs, "*.json"), (write_parquet, "*.parquet"), (write_dataset, "*.arrow")]
)
def test_a_git_lfs_pointer_in_place_of_the_data_is_named(tmp_path, write, files):
    write(tmp_path)
    [file] = tmp_path.rglob(files) if files != "*.json" else [tmp_path / LCS_558K]
    file.write_bytes(LFS_POINTER + b"v1\noid sha256:00\nsize 1\n")
    with pytest.raises(ValueError, match=rf"^{re.escape(str(file))} is a git-lfs pointer"):
        open_data(DataConfig(tmp_path), encode)


def test_the_held_out_set_is_the_same_on_every_rank_and_leaves_corrupt_samples_out(tmp_path, caplog):
    path = write_llava(tmp_path, 8, broken={1, 3})
    sets = [open_data(DataConfig(path, held_out=7), encode, seed=2, rank=rank, world=2).held_out for rank in range(2)]
    assert [s.key for s in sets[0]] == [s.key for s in sets[1]]
    assert not {int(s.key) for s in sets[0]} & {1, 3}
    assert any("held-out" in message for message in caplog.messages)


def test_the_system_turn_is_lavida_s_unless_said_otherwise(tmp_path):
    write_lcs(tmp_path)
    with_turn, without = (
        decode(next(iter(open_data(DataConfig(tmp_path, workers=0, **system), encode).stream)).prompt_ids)
        for system in ({}, {"system": None})
    )
    assert SYSTEM_PROMPT.lower() in with_turn
    assert "system" not in without
    assert with_turn.endswith(without.removeprefix("<|startoftext|>"))


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no data at"):
        open_data(DataConfig(tmp_path / "gone"), encode)
    with pytest.raises(ValueError, match=r"set data\.format"):
        open_data(DataConfig(tmp_path), encode)
