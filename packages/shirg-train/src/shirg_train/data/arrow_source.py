"""Hugging Face datasets saved on disk, and parquet files: a column of images and a column of conversations."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from shirg_train.data.record import CorruptSampleError, Record, content_mark, parse_turns

GROUPS_IN_MEMORY = 8
"""Row groups of parquet files that are kept decoded; samples are shuffled within as many."""


class DatasetSource:
    """A dataset written by `save_to_disk`.

    Args:
        path: its folder.
        split: which split, for a dataset with several.
        image_column: holds an image, a list of images, or None.
        turns_column: holds the conversation.

    Raises:
        OSError: no dataset there.
        ValueError: a split or column that it lacks.
    """

    groups = None

    def __init__(
        self, path: Path, *, split: str | None = None, image_column: str = "image", turns_column: str = "conversations"
    ) -> None:
        from datasets import Dataset, load_from_disk

        loaded = load_from_disk(str(path))
        if not isinstance(loaded, Dataset):
            if split not in loaded:
                raise ValueError(f"{path} has splits {', '.join(loaded)}; data.split must name one, got {split!r}")
            loaded = loaded[split]
        _check_columns(path, loaded.column_names, image_column, turns_column)
        self.columns = (image_column, turns_column)
        # Arrow rows hold images as stored; decoding them is the reader's work, which can skip a broken one.
        self.rows = loaded.select_columns(list(self.columns)).with_format("arrow")

    @cached_property
    def fingerprint(self) -> str:
        """Of the Arrow files."""
        return content_mark((Path(file["filename"]) for file in self.rows.cache_files), whole=False)

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, index: int) -> Record:
        """Sample number `index`.

        Raises:
            CorruptSampleError: no usable image or conversation.
        """
        return _record(str(index), self.rows[index].to_pylist()[0], *self.columns)


class ParquetSource:
    """Parquet files, in order of their names.

    Args:
        path: a file, or a folder of `*.parquet`.
        image_column: holds an image, a list of images, or None.
        turns_column: holds the conversation.

    Raises:
        OSError: no such file.
        ValueError: a file that is no whole parquet file, or lacks a column.
    """

    def __init__(self, path: Path, *, image_column: str = "image", turns_column: str = "conversations") -> None:
        files = [path] if path.is_file() else sorted(path.glob("*.parquet"))
        if not files:
            raise FileNotFoundError(f"no parquet files in {path}")
        self.columns, self.files = (image_column, turns_column), files
        self.places: list[tuple[Path, int]] = []
        self.sizes: list[int] = []
        for file in files:
            with _opened(file) as opened:
                _check_columns(file, opened.schema_arrow.names, *self.columns)
                for group in range(opened.num_row_groups):
                    self.places.append((file, group))
                    self.sizes.append(opened.metadata.row_group(group).num_rows)
        self.ends = list(accumulate(self.sizes))
        self._kept: OrderedDict[int, pa.Table] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def groups(self) -> Sequence[int]:
        """Rows of every row group."""
        return self.sizes

    @cached_property
    def fingerprint(self) -> str:
        """Of the files."""
        return content_mark(self.files, whole=False)

    def __len__(self) -> int:
        return self.ends[-1] if self.ends else 0

    def read(self, index: int) -> Record:
        """Sample number `index`.

        Raises:
            CorruptSampleError: no usable image or conversation.
        """
        group = next(g for g, end in enumerate(self.ends) if index < end)
        row = self._table(group).slice(index - self.ends[group] + self.sizes[group], 1).to_pylist()[0]
        return _record(str(index), row, *self.columns)

    def _table(self, group: int) -> pa.Table:
        with self._lock:
            if group not in self._kept:
                file, number = self.places[group]
                with pq.ParquetFile(file) as opened:
                    self._kept[group] = opened.read_row_group(number, columns=list(self.columns))
                if len(self._kept) > GROUPS_IN_MEMORY:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(group)
            return self._kept[group]


def _opened(file: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(file)
    except pa.ArrowInvalid as error:
        raise ValueError(f"{file} is damaged or cut short: {error}") from error


def _check_columns(path: Path, there: Sequence[str], *wanted: str) -> None:
    for column in wanted:
        if column not in there:
            raise ValueError(f"{path} has no column {column!r}, only {', '.join(there)}")


def _record(key: str, row: dict[str, Any], image_column: str, turns_column: str) -> Record:
    images = row[image_column]
    listed = images if isinstance(images, list) else [] if images is None else [images]
    return Record(key, tuple(_encoded(image) for image in listed), parse_turns(row[turns_column]))


def _encoded(image: object) -> bytes | Path:
    """Bytes or a path: as they are, or as the `{"bytes": …, "path": …}` that the datasets library stores."""
    if isinstance(image, dict):
        image = image.get("bytes") or image.get("path")
    if isinstance(image, bytes):
        return image
    if isinstance(image, str) and image:
        return Path(image)
    raise CorruptSampleError(f"image: expected bytes or a path, got {image!r}")
