"""What a resumed run may say differently, and what a new one may begin with."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file

from shirg_lavida.testing import write_tiny_checkpoint, write_tiny_tokenizer
from shirg_train.checkpointing import latest_checkpoint
from shirg_train.metrics import read_metrics
from shirg_train.recipe import RecipeError
from shirg_train.trainer import loop
from shirg_train.trainer.optimizer import lr_factor
from shirg_train.trainer.task import train_adapter

from .data.data_files import write_llava


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A checkpoint, a data folder, and a finished run of three steps."""
    root = tmp_path_factory.mktemp("resume")
    write_tiny_tokenizer(write_tiny_checkpoint(root / "model", side=5))
    (root / "data").mkdir()
    write_llava(root / "data", 9)
    train(root, root / "three")
    return root


def train(root, output, **changes):
    raw = {
        "model": {"path": str(root / "model"), "precision": "fp32"},
        "data": {"path": str(root / "data"), "system": None, "workers": 0},
        "output": str(output),
        "steps": 3,
        "keep": [{"method": "v2", "budget": 20, "views": "anyres"}, "pooled"],
        "adapter": {"r": 2, "alpha": 4, "dropout": 0.2},
        "optim": {"lr": 0.01, "warmup_steps": 1},
        "batch": {"size": 4, "micro": 2},
        "validation": {"every": 0},
        "checkpoint": {"every": 1},
        "log": {"progress": False},
    }
    for key, value in changes.items():
        raw[key] = {**raw[key], **value} if isinstance(value, dict) else value
    return train_adapter(raw)


def copy(files, tmp_path):
    return shutil.copytree(files / "three", tmp_path / "run")


def parameters(output):
    state = load_file(latest_checkpoint(output / "checkpoints") / "state.safetensors")
    return {name: tensor for name, tensor in state.items() if name.startswith("parameter/")}


def test_micro_batches_workers_and_folder_may_change_in_the_middle(files, tmp_path, monkeypatch):
    output, real = tmp_path / "run", loop._train_step

    def interrupted(loop_, step, *rest):
        if step == 1:
            raise InterruptedError
        real(loop_, step, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "_train_step", interrupted)
        with pytest.raises(InterruptedError):
            train(files, output)
    moved = shutil.copytree(files / "data", tmp_path / "moved")
    data = {"path": str(moved), "images": str(moved / "images"), "workers": 2}
    train(files, output, batch={"micro": 1}, data=data)
    left, right = parameters(files / "three"), parameters(output)
    assert max(float((left[name] - right[name]).abs().max()) for name in left) < 2e-6


def test_more_steps_go_on_at_the_rate_of_the_longer_schedule(files, tmp_path):
    output = copy(files, tmp_path)
    train(files, output, steps=5)
    rates = [line["lr"] for line in read_metrics(output / "metrics.jsonl", "step")]
    assert rates[:3] == [line["lr"] for line in read_metrics(files / "three" / "metrics.jsonl", "step")]
    assert rates[3:] == pytest.approx([0.01 * lr_factor(step, 5, 1) for step in (3, 4)])
    with pytest.raises(
        RecipeError, match=r"holds a run of 5 steps, this recipe says 4; choose another output, and init"
    ):
        train(files, output, steps=4)
    train(files, output, steps=None, epochs=2.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"optim": {"lr": 0.5}}, r"a run with optim\.lr: 0\.01, this recipe says 0\.5; .* init: .*adapter"),
        ({"seed": 3}, r"a run with seed: 0, this recipe says 3"),
        ({"batch": {"size": 2}}, r"a run with batch\.size: 4, this recipe says 2"),
        ({"data": {"max_tokens": 99}}, r"a run with data\.max_tokens: 2048, this recipe says 99"),
        ({"keep": ["pooled"]}, r"a run with keep: .*v2.*, this recipe says .*pooling"),
    ],
)
def test_what_changes_the_result_is_refused_by_name(files, change, message):
    with pytest.raises(RecipeError, match=message):
        train(files, files / "three", **change)


@pytest.mark.parametrize("removed", [True, False])
def test_other_data_is_refused_and_an_adapter_is_a_beginning(files, tmp_path, removed):
    output = copy(files, tmp_path)
    data = shutil.copytree(files / "data", tmp_path / "other")
    (file,) = data.glob("*.json")
    rows = json.loads(file.read_text())
    rows[3]["conversations"][1]["value"] = "8"
    file.write_text(json.dumps(rows[:-1] if removed else rows))
    found = "samples 9, not 8" if removed else "data [0-9a-f]+, not [0-9a-f]+"
    with pytest.raises(
        RecipeError, match=rf"the data is not what .*{found}\); choose another output, and init: .*adapter"
    ):
        train(files, output, data={"path": str(data)}, steps=4)
    again = tmp_path / "again"
    train(files, again, data={"path": str(data)}, init=str(output / "adapter"), optim={"lr": 1e-12})
    before, after = parameters(output), parameters(again)
    assert before.keys() == after.keys()
    assert max(float((before[name] - after[name]).abs().max()) for name in before) < 1e-9
    with pytest.raises(RecipeError, match=r"a run with init: '.*run/adapter', this recipe says None"):
        train(files, again, data={"path": str(data)}, optim={"lr": 1e-12})


def test_an_image_file_that_is_gone_is_skipped(files, tmp_path):
    output = copy(files, tmp_path)
    data = shutil.copytree(files / "data", tmp_path / "less")
    for image in sorted(data.rglob("*.jpg"))[:3]:
        image.unlink()
    train(files, output, data={"path": str(data)}, steps=6)
    assert read_metrics(output / "metrics.jsonl", "event")[-1]["samples"].keys() == {"missing image"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"adapter": {"r": 4}}, r"init: the adapter in .* has r=2 and alpha=4, the recipe says r=4 and alpha=4"),
        ({"adapter": {"bias": "none"}}, "holds .*bias, which this recipe does not train"),
        (
            {"adapter": {"target": ["mm_projector.2"]}},
            r"holds model\.mm_projector\.0\..*, which this recipe does not train",
        ),
        (
            {"adapter": {"language_blocks": [1]}},
            r"does not hold model\.transformer\.blocks\.1\..*, which this recipe trains",
        ),
        ({"init": "nowhere"}, r"init: no adapter in nowhere: adapter_config\.json is missing"),
    ],
)
def test_an_adapter_that_does_not_fit_is_no_beginning(files, tmp_path, change, message):
    with pytest.raises(RecipeError, match=message):
        train(files, tmp_path / "new", **{"init": str(files / "three" / "adapter"), **change})


def test_a_run_that_began_with_an_adapter_resumes_without_it(files, tmp_path):
    start = shutil.copytree(files / "three" / "adapter", tmp_path / "start")
    torch.manual_seed(0)
    train(files, tmp_path / "whole", init=str(start))
    train(files, tmp_path / "parts", init=str(start), steps=3)
    shutil.rmtree(latest_checkpoint(tmp_path / "parts" / "checkpoints"))
    shutil.rmtree(start)
    train(files, tmp_path / "parts", init=str(start))
    left, right = parameters(tmp_path / "whole"), parameters(tmp_path / "parts")
    assert [name for name in left if not torch.equal(left[name], right[name])] == []
