"""`shirg train` from files to an adapter, and one line for whatever is wrong."""

import json
import re

import pytest
from PIL import Image

from shirg_core.cli.app import main
from shirg_lavida.testing import write_tiny_checkpoint, write_tiny_tokenizer
from shirg_train.__main__ import run as run_as_module
from shirg_train.metrics import read_metrics
from shirg_train.told import RECIPES, closing


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A checkpoint, data in LCS-558K's layout with one corrupt sample, and a recipe."""
    root = tmp_path_factory.mktemp("train")
    write_tiny_tokenizer(write_tiny_checkpoint(root / "model", side=5))
    (root / "data").mkdir()
    samples = []
    for number in range(12):
        if number != 3:
            Image.new("RGB", (60 + number, 50), (20 * number, 0, 0)).save(root / "data" / f"{number}.png")
        turns = [
            {"from": "human", "value": "What colour?\n<image>"},
            {"from": "gpt", "value": "dark" if number < 6 else "bright"},
        ]
        samples.append({"id": str(number), "image": f"{number}.png", "conversations": turns})
    (root / "data" / "blip_laion_cc_sbu_558k.json").write_text(json.dumps(samples))
    (root / "recipe.yaml").write_text(
        f"""
        kind: adapter
        output: {root / "out"}
        steps: 3
        model: {{path: {root / "model"}, precision: fp32}}
        data: {{path: {root / "data"}, held_out: 3, workers: 1}}
        adapter: {{r: 2, alpha: 4}}
        keep: [pooling, baseline, {{method: v2, budget: 0.5}}]
        batch: {{size: 2, micro: 1}}
        optim: {{lr: 1e-3, warmup_steps: 1}}
        validation: {{every: 3, times: 2}}
        log: {{progress: false}}
        """
    )
    return root


def test_a_run_from_files(files, capsys):
    changes = ["--set", "optim.lr=2e-3", "--set", "log.progress=true"]
    assert main(["train", "--quiet", str(files / "recipe.yaml"), *changes]) == 0
    out, err = capsys.readouterr()
    assert out.strip() == str(files / "out" / "adapter")
    assert "NLL" not in err, "no progress bar"
    steps = read_metrics(files / "out" / "metrics.jsonl", "step")
    assert [line["step"] for line in steps] == [1, 2, 3]
    assert steps[0]["lr"] == pytest.approx(2e-3)
    from shirg_lavida import load_lavida
    from shirg_lavida.checkpoint.adapter import merge_adapter

    merge_adapter(load_lavida(files / "model"), files / "out" / "adapter")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["optin.lr=1"], "unknown recipe key 'optin'; known here: model, data"),
        (["optim.lr=fast"], "optim.lr must be a number, got 'fast'"),
        (["data.path=nowhere"], "no data at nowhere"),
        (["model.path=nowhere"], "'nowhere' is neither a folder nor a hub id"),
        (["kind=[adapter]"], "unknown kind ['adapter']; known: adapter, micro"),
        (["kind=video"], "unknown kind 'video'; known: adapter, micro"),
        (["keep=[v9]"], "keep[0]: unknown method 'v9'"),
        (["batch.micro=7"], "batch.size=2 is not a multiple"),
        (["data.held_out=0"], "no held-out samples"),
        (["adapter.target=[mm_projector.5]"], "no linear 'mm_projector.5'"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(files, tmp_path, capsys, changes, message):
    options = [part for change in [f"output={tmp_path / 'out'}", *changes] for part in ("--set", change)]
    assert main(["train", str(files / "recipe.yaml"), *options]) == 2
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1
    assert message in shown


def test_data_without_a_usable_sample_is_one_line(files, tmp_path, capsys, caplog):
    rows = [{"id": i, "conversations": [{"from": "human", "value": "?"}, {"from": "gpt", "value": "!"}]} for i in "ab"]
    (tmp_path / "d.json").write_text(json.dumps(rows))
    changes = [
        f"output={tmp_path / 'out'}",
        f"data.path={tmp_path / 'd.json'}",
        "data.held_out=0",
        "validation.every=0",
    ]
    assert main(["train", str(files / "recipe.yaml"), *(part for each in changes for part in ("--set", each))]) == 2
    shown = capsys.readouterr().err
    assert shown.splitlines()[-1] == (
        "shirg: error: 2 samples in a row cannot be trained on; the last one: "
        + caplog.messages[-1].partition("far): ")[2]
    )
    assert "Traceback" not in shown


def write_empty(path):
    path.write_text("[]")


def write_half(path):
    path.write_text('[{"id": 1}, {')


def write_image(path):
    Image.new("RGB", (8, 8)).save(path, "JPEG")


def write_folder(path):
    path.mkdir()


@pytest.mark.parametrize(
    ("name", "write", "message"),
    [
        ("d.json", write_empty, "no samples in"),
        ("d.jsonl", write_empty, "samples in a row cannot be trained on"),
        ("d.json", write_half, "not a JSON list"),
        ("d.json", write_image, "not a JSON list: expected '[' at byte 0"),
        ("d.json", write_folder, "Is a directory"),
        ("d.parquet", write_image, "Parquet"),
        ("d.parquet", write_folder, "no parquet files in"),
        ("d.jpg", write_image, "cannot tell the format of"),
        ("d", write_folder, "cannot tell the format of"),
    ],
    ids=["empty", "lines", "half", "image", "folder", "parquet", "no-parquet", "photo", "empty-folder"],
)
def test_data_that_cannot_be_read_is_one_line(files, tmp_path, capsys, name, write, message):
    write(tmp_path / name)
    changes = [f"output={tmp_path / 'out'}", f"data.path={tmp_path / name}"]
    changes += ["data.held_out=0", "validation.every=0"]
    options = [part for change in changes for part in ("--set", change)]
    assert main(["train", str(files / "recipe.yaml"), *options]) == 2
    shown = capsys.readouterr().err
    assert message in shown.splitlines()[-1]
    assert "Traceback" not in shown


def test_a_photo_as_recipe_is_one_line(tmp_path, capsys):
    write_image(tmp_path / "photo.jpg")
    assert main(["train", str(tmp_path / "photo.jpg")]) == 2
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1
    assert "photo.jpg is not YAML" in shown


def test_a_hub_id_while_offline_is_one_line(files, tmp_path, capsys, monkeypatch):
    def offline(*_args, **_kwargs):
        raise ConnectionError("offline mode is enabled")

    monkeypatch.setattr("huggingface_hub.snapshot_download", offline)
    options = ["--set", f"output={tmp_path / 'out'}", "--set", "model.path=someone/lavida"]
    assert main(["train", str(files / "recipe.yaml"), *options]) == 2
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1
    assert "someone/lavida" in shown
    assert "no connection to the hub" in shown


def test_a_run_tells_where_it_is_and_what_came_of_it(files, tmp_path, capsys):
    out = tmp_path / "out"

    def train(*more):
        changes = [f"output={out}", "log.progress=true", *more]
        assert main(["train", str(files / "recipe.yaml"), *(part for c in changes for part in ("--set", c))]) == 0
        return capsys.readouterr().err

    nll = r"NLL +pooling \d\.\d{4} → \d\.\d{4}, baseline \d\.\d{4} → .* \(step 0 → 3\)"
    first = train()
    assert re.search(nll, first)
    assert f'ask it  shirg ask IMAGE "QUESTION" --model {files / "model"} --adapter {out / "adapter"}' in first
    assert "resumed" not in first
    assert closing({"kind": "micro", "compressor": "sms"}, out) == []
    assert "already finished: all 3 steps are done" in train()
    assert "resumed at step 3 of 5" in train("steps=5")


def test_a_dry_run_says_what_would_be_done_and_does_nothing(files, tmp_path, capsys):
    out = tmp_path / "out"
    argv = ["train", str(files / "recipe.yaml"), "--set", f"output={out}", "--dry-run"]
    assert main(argv) == 0
    said = capsys.readouterr().out
    assert f"would train  a LoRA of rank 2 on mm_projector.0, mm_projector.2 of {files / 'model'}" in said
    assert "steps        3 of 2 samples, 3 samples held out" in said
    assert f"output       {out}, would begin anew" in said
    assert not out.exists()
    assert main(["train", "--recipe", "micro", "--set", f"output={out}", "--dry-run"]) == 0
    assert "would train  a micro model from nothing" in capsys.readouterr().out
    assert main([*argv, "--set", "batch.micro=7"]) == 2


def test_recipes_come_with_the_package(capsys):
    assert main(["train", "--list"]) == 0
    listed = capsys.readouterr().out
    shipped = {path.stem for path in RECIPES.glob("*.yaml")}
    assert {line.split()[0] for line in listed.splitlines()} == shipped >= {"lavida_lora", "micro", "micro_lora"}
    assert "LaViDa + SHIRG: a LoRA on projector and language model, one for every budget." in listed
    for argv, message in (
        (["--recipe", "micro_lorra"], "unknown recipe 'micro_lorra', did you mean 'micro_lora'?"),
        ([], "name one recipe"),
        (["a.yaml", "--recipe", "micro"], "name one recipe"),
    ):
        assert main(["train", *argv]) == 2
        assert message in capsys.readouterr().err


def test_as_a_module_with_what_launchers_add(files, capsys):
    assert run_as_module(["--local_rank=0", str(files / "none.yaml")]) == 2
    assert "no recipe" in capsys.readouterr().err
