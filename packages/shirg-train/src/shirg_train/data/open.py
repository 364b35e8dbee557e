"""From a recipe's `data` to streams of samples."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from shirg_core.checks import integer
from shirg_core.files import lfs_pointer
from shirg_lavida.prompt.chat import SYSTEM_PROMPT
from shirg_train.data.arrow_source import DatasetSource, ParquetSource
from shirg_train.data.chat import Encode
from shirg_train.data.json_source import JsonSource
from shirg_train.data.order import held_out_indices
from shirg_train.data.record import CorruptSampleError, Source, SyntheticData
from shirg_train.data.samples import Reader, TrainingSample
from shirg_train.data.stream import SampleStream

_log = logging.getLogger(__name__)
Format: TypeAlias = Literal["auto", "llava", "dataset", "parquet"]
LCS_558K = "blip_laion_cc_sbu_558k.json"
_FILES: dict[Format, str] = {"llava": "*.json*", "parquet": "*.parquet", "dataset": "**/*.arrow"}
"""What a folder of each format keeps its samples in."""


@dataclass(frozen=True)
class DataConfig:
    """Where samples are and how they are read; either `path` or `pages`.

    Args:
        path: a conversations file (`.json`, `.jsonl`), a folder with LCS-558K in it, a dataset saved on disk, or
            parquet (a file or a folder of them).
        pages: synthetic pages instead, drawn while training.
        format: `auto` tells from what is there.
        images: folder of the conversations' images; None = `images` beside the file if there is one, else its folder.
        split: of a dataset with splits.
        image_column: of a dataset or parquet.
        turns_column: of a dataset or parquet.
        system: text of a system turn before every question, LaViDa's own unless said otherwise; None = no such turn.
        max_tokens: longest prompt and answer together; 0 = no limit.
        held_out: samples kept for validation.
        workers: threads that decode ahead.

    Raises:
        ValueError: neither `path` nor `pages`, or both, or a negative number.
    """

    path: Path | None = None
    pages: SyntheticData | None = None
    format: Format = "auto"
    images: Path | None = None
    split: str | None = None
    image_column: str = "image"
    turns_column: str = "conversations"
    system: str | None = SYSTEM_PROMPT
    max_tokens: int = 2048
    held_out: int = 0
    workers: int = 2

    def __post_init__(self) -> None:
        if (self.path is None) == (self.pages is None):
            raise ValueError(f"data needs either path or pages, got path={self.path} and pages={self.pages}")
        for name in ("max_tokens", "held_out", "workers"):
            integer(name, getattr(self, name), low=0)


@dataclass(frozen=True)
class OpenedData:
    """What training takes from a `DataConfig`.

    Attributes:
        stream: this rank's training samples.
        held_out: validation samples, the same on every rank, corrupt ones left out (the log names them).
        samples_per_epoch: over all ranks, corrupt ones included.
    """

    stream: SampleStream
    held_out: tuple[TrainingSample, ...]
    samples_per_epoch: int


def open_data(config: DataConfig, encode: Encode, *, seed: int = 0, rank: int = 0, world: int = 1) -> OpenedData:
    """Open data for one rank.

    Raises:
        OSError: what `config` names is not there.
        ValueError: it cannot be read, or every held-out sample is corrupt.
    """
    source = open_source(config)
    if not len(source):
        raise ValueError(f"no samples in {config.path}")
    reader = Reader(encode, config.system, config.max_tokens, seed=seed)
    held_out = held_out_indices(len(source), config.held_out, seed)
    stream = SampleStream(source, reader, seed=seed, held_out=held_out, rank=rank, world=world, workers=config.workers)
    return OpenedData(stream, _validation(source, reader, held_out.tolist()), len(stream))


def open_source(config: DataConfig) -> Source:
    """The samples of a config.

    Raises:
        OSError: what `config` names is not there.
        ValueError: it cannot be read.
    """
    if config.pages is not None:
        return config.pages.open()
    path = config.path
    assert path is not None, "a config has one or the other"
    if not path.exists():
        raise FileNotFoundError(f"no data at {path}")
    if path.is_dir() and (path / LCS_558K).is_file():
        path = path / LCS_558K
    kind = _kind(path) if config.format == "auto" else config.format
    for file in [path] if path.is_file() else sorted(path.glob(_FILES[kind])):
        if pointer := lfs_pointer(file):
            raise ValueError(pointer)
    if kind == "llava":
        beside = path.parent / "images"
        return JsonSource(path, config.images or (beside if beside.is_dir() else path.parent))
    columns = {"image_column": config.image_column, "turns_column": config.turns_column}
    if kind == "parquet":
        return ParquetSource(path, **columns)
    return DatasetSource(path, split=config.split, **columns)


def _kind(path: Path) -> Format:
    if path.suffix in (".json", ".jsonl"):
        return "llava"
    if path.suffix == ".parquet" or (path.is_dir() and any(path.glob("*.parquet"))):
        return "parquet"
    if path.is_dir() and ((path / "dataset_info.json").is_file() or (path / "dataset_dict.json").is_file()):
        return "dataset"
    raise ValueError(f"cannot tell the format of {path}; set data.format to llava, dataset or parquet")


def _validation(source: Source, reader: Reader, indices: Sequence[int]) -> tuple[TrainingSample, ...]:
    samples = []
    for index in indices:
        try:
            samples.append(reader(source.read(index)))
        except CorruptSampleError as error:
            _log.warning("skipped corrupt held-out sample %d: %s", index, error)
    if indices and not samples:
        raise ValueError(f"all {len(indices)} held-out samples are corrupt")
    return tuple(samples)
