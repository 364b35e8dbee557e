import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from data_files import png, turns
from datasets import Dataset, DatasetDict, Features, Image, Value

from shirg_train.data.arrow_source import GROUPS_IN_MEMORY, DatasetSource, ParquetSource
from shirg_train.data.record import CorruptSampleError, Turn

TALK = [{"role": Value("string"), "content": Value("string")}]


def rows(n):
    talk = [[{"role": "user", "content": "?"}, {"role": "assistant", "content": str(i)}] for i in range(n)]
    return {"image": [{"bytes": png(8, 8, i), "path": None} for i in range(n)], "conversations": talk}


@pytest.fixture
def dataset():
    return Dataset.from_dict(rows(6), features=Features({"image": Image(), "conversations": TALK}))


def test_a_dataset_on_disk_gives_stored_bytes(tmp_path, dataset):
    dataset.save_to_disk(tmp_path / "set")
    source = DatasetSource(tmp_path / "set")
    assert len(source) == 6
    assert source.read(3).images == (png(8, 8, 3),)
    assert source.read(5).turns == (Turn("user", "?"), Turn("assistant", "5"))


def test_a_split_and_the_columns_are_checked(tmp_path, dataset):
    DatasetDict({"train": dataset, "test": dataset.select([0])}).save_to_disk(tmp_path / "set")
    assert len(DatasetSource(tmp_path / "set", split="train")) == 6
    with pytest.raises(ValueError, match="splits train, test"):
        DatasetSource(tmp_path / "set")
    with pytest.raises(ValueError, match="no column 'picture', only image, conversations"):
        DatasetSource(tmp_path / "set", split="test", image_column="picture")


def write_parquet(folder, n=30, group=3):
    folder.mkdir()
    table = pa.Table.from_pydict(
        {
            "picture": [png(8, 8, i) for i in range(n)],
            "talk": [turns(str(i), "?") for i in range(n)],
            "id": list(range(n)),
        }
    )
    pq.write_table(table.slice(0, n // 2), folder / "a.parquet", row_group_size=group)
    pq.write_table(table.slice(n // 2), folder / "b.parquet", row_group_size=group)


def test_parquet_files_follow_each_other_and_few_groups_stay_in_memory(tmp_path):
    write_parquet(tmp_path / "set")
    source = ParquetSource(tmp_path / "set", image_column="picture", turns_column="talk")
    assert list(source.groups) == [3] * 10
    for i in (0, 14, 15, 29, *range(30)):
        record = source.read(i)
        assert record.images == (png(8, 8, i),)
        assert record.turns[1].text == str(i)
    assert len(source._kept) <= GROUPS_IN_MEMORY < 10
    assert len(ParquetSource(tmp_path / "set" / "b.parquet", image_column="picture", turns_column="talk")) == 15


def test_parquet_errors_name_what_is_missing(tmp_path):
    write_parquet(tmp_path / "set")
    with pytest.raises(ValueError, match="no column 'image', only picture, talk, id"):
        ParquetSource(tmp_path / "set")
    with pytest.raises(FileNotFoundError, match="no parquet files"):
        ParquetSource(tmp_path)
    file = tmp_path / "set" / "b.parquet"
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(ValueError, match=r"b\.parquet is damaged or cut short"):
        ParquetSource(tmp_path / "set", image_column="picture", turns_column="talk")


def test_rows_without_image_are_text_and_odd_ones_corrupt(tmp_path):
    table = pa.Table.from_pydict(
        {"image": [None, {"bytes": None, "path": ""}], "conversations": [turns("a", "?"), turns("b", "?")]}
    )
    pq.write_table(table, tmp_path / "a.parquet")
    source = ParquetSource(tmp_path / "a.parquet")
    assert source.read(0).images == ()
    with pytest.raises(CorruptSampleError, match="image"):
        source.read(1)
