import json

import pytest
import torch
from safetensors.torch import save_file

from shirg_lavida.checkpoint.weights import read_weights, stored_weights


def write_index(folder, weight_map):
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))


def test_reads_headers_then_tensors(tmp_path):
    save_file({"a": torch.ones(2, 3), "b": torch.zeros(1, dtype=torch.bfloat16)}, tmp_path / "model.safetensors")
    stored = stored_weights(tmp_path)
    assert {k: (w.shape, w.dtype) for k, w in stored.items()} == {"a": ((2, 3), "F32"), "b": ((1,), "BF16")}
    tensors = dict(read_weights(stored))
    assert torch.equal(tensors["a"], torch.ones(2, 3))
    assert tensors.keys() == {"a", "b"}


def test_index_and_shards_must_agree(tmp_path):
    save_file({"a": torch.ones(1)}, tmp_path / "1.safetensors")
    save_file({"b": torch.ones(1)}, tmp_path / "2.safetensors")
    write_index(tmp_path, {"a": "1.safetensors", "b": "2.safetensors"})
    assert stored_weights(tmp_path).keys() == {"a", "b"}
    write_index(tmp_path, {"a": "2.safetensors", "b": "1.safetensors"})
    with pytest.raises(ValueError, match="disagree about a, b"):
        stored_weights(tmp_path)
    save_file({"b": torch.ones(1), "c": torch.ones(1)}, tmp_path / "2.safetensors")
    write_index(tmp_path, {"a": "1.safetensors", "b": "2.safetensors"})
    with pytest.raises(ValueError, match="disagree about c"):
        stored_weights(tmp_path)


def test_missing_shard_and_empty_index(tmp_path):
    write_index(tmp_path, {"a": "1.safetensors"})
    with pytest.raises(FileNotFoundError, match=r"1\.safetensors"):
        stored_weights(tmp_path)
    write_index(tmp_path, {})
    with pytest.raises(ValueError, match="weight_map"):
        stored_weights(tmp_path)


def test_no_weights(tmp_path):
    with pytest.raises(FileNotFoundError, match="neither"):
        stored_weights(tmp_path)
