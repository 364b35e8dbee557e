"""Training data: conversations about images, from LLaVA's layout, datasets on disk and parquet files."""

from shirg_train.data.chat import Encode, load_encoder
from shirg_train.data.open import DataConfig, OpenedData, open_data, open_source
from shirg_train.data.record import CorruptSampleError, Record, Source, Turn
from shirg_train.data.samples import Reader, TrainingSample
from shirg_train.data.stream import SampleStream

__all__ = [
    "CorruptSampleError",
    "DataConfig",
    "Encode",
    "OpenedData",
    "Reader",
    "Record",
    "SampleStream",
    "Source",
    "TrainingSample",
    "Turn",
    "load_encoder",
    "open_data",
    "open_source",
]
