"""Checkpoints are whole or absent, and a full disk leaves the last one alone."""

import errno
import json

import pytest
import torch

from shirg_train import checkpointing
from shirg_train.checkpointing import (
    Checkpoint,
    CheckpointError,
    Progress,
    latest_checkpoint,
    load_checkpoint,
    save_checkpoint,
)


def make(step):
    parameters = {"a.weight": torch.full((2, 3), float(step)), "b": torch.arange(4)}
    moments = {
        "a.weight": {"step": torch.tensor(float(step)), "exp_avg": torch.rand(2, 3), "exp_avg_sq": torch.rand(2, 3)}
    }
    progress = Progress(step, 16, 32.0, 2, 1.5, {"pooled": 2.0}, ({"passed": 3}, {"passed": 4}), {"seed": 0})
    return Checkpoint(progress, parameters, moments)


def write_adapter(folder):
    (folder / "adapter_config.json").write_text("{}")


def save(folder, step, **options):
    return save_checkpoint(folder, make(step), **{"keep": 2, "write_adapter": write_adapter, **options})


def test_what_is_saved_is_loaded(tmp_path):
    torch.manual_seed(0)
    path = save(tmp_path, 7)
    torch.manual_seed(0)
    expected, loaded = make(7), load_checkpoint(path)
    assert loaded.progress == expected.progress
    assert loaded.parameters.keys() == expected.parameters.keys()
    assert all(torch.equal(loaded.parameters[name], value) for name, value in expected.parameters.items())
    for kind, value in expected.moments["a.weight"].items():
        assert torch.equal(loaded.moments["a.weight"][kind], value)
    assert (path / "adapter" / "adapter_config.json").is_file()


def test_the_newest_are_kept(tmp_path):
    assert latest_checkpoint(tmp_path / "none") is None
    for step in (1, 20, 300):
        save(tmp_path, step)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000020", "step-00000300"]
    assert latest_checkpoint(tmp_path).name == "step-00000300"
    save(tmp_path, 300)
    assert latest_checkpoint(tmp_path).name == "step-00000300"


def test_unfinished_ones_do_not_count_and_go_away(tmp_path):
    save(tmp_path, 1)
    (tmp_path / ".shirg-step-00000002").mkdir()
    (tmp_path / ".shirg-step-00000002" / "state.safetensors").write_bytes(b"half")
    assert latest_checkpoint(tmp_path).name == "step-00000001"
    save(tmp_path, 3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000001", "step-00000003"]


@pytest.mark.parametrize("at", ["state", "adapter"])
def test_a_full_disk_leaves_the_last_one_intact(tmp_path, monkeypatch, at):
    save(tmp_path, 1)

    def full(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    if at == "state":
        monkeypatch.setattr(checkpointing, "save_file", full)
    with pytest.raises(
        CheckpointError, match=r"No space left on device; the last checkpoint is intact: .*step-00000001"
    ):
        save(tmp_path, 2, **({"write_adapter": full} if at == "adapter" else {}))
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000001"]
    load_checkpoint(tmp_path / "step-00000001")


def test_damage_is_named(tmp_path):
    path = save(tmp_path, 1)
    raw = json.loads((path / "trainer.json").read_text())
    (path / "trainer.json").write_text(json.dumps({**raw, "surprise": 1}))
    with pytest.raises(CheckpointError, match=r"damaged.*surprise"):
        load_checkpoint(path)
    (path / "state.safetensors").write_bytes(b"half")
    with pytest.raises(CheckpointError, match="damaged"):
        load_checkpoint(path)
