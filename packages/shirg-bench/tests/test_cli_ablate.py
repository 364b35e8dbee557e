"""`shirg ablate` from the command line."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from shirg_bench.results.provenance import folder_digest
from shirg_bench.results.rows import read_rows
from shirg_core.cli import commands
from shirg_core.cli.app import main
from shirg_core.cli.errors import BadInput
from shirg_core.in_use import LOCK_FILE, hold
from shirg_lavida.checkpoint.fingerprint import fingerprint
from shirg_lavida.checkpoint.load import load_lavida
from shirg_train.adapter.files import save_adapter
from shirg_train.adapter.lora import AdapterConfig, attach, trainable
from shirg_train.testbed.micro.samples import checkpoint_folder

from .accuracy_setup import write_micro

SEEDED = "shirg ablate --what {} --model micro --pages 1 --tiers plain --seed 0 --regime untrained"


@pytest.fixture(autouse=True)
def only_ablate(monkeypatch):
    entry = EntryPoint("ablate", "shirg_bench.cli.ablate:ablate", commands.ENTRY_POINT_GROUP)
    monkeypatch.setattr(commands, "entry_points", lambda **_: [entry])


def shirg(*argv):
    return main([str(part) for part in argv])


def ablate(micro, output, *options):
    return shirg("ablate", "--model", micro, "--regime", "untrained", "--pages", 1, "--output", output, *options)


def write_adapter(micro, folder, r, positions="packed"):
    model = load_lavida(micro)
    mark = fingerprint(model)
    peft = attach(model, AdapterConfig(r=r))
    state = {name: p.detach() + 0.2 for name, p in trainable(peft).items()}
    folder.mkdir()
    save_adapter(peft, folder, state=state, fingerprint=mark, card={"positions": positions})
    return folder


def test_the_budget_of_the_adaptive_table_is_adaptive(micro, tmp_path, capsys):
    assert ablate(micro, tmp_path, "--what", "adaptive", "--budget", "0.25") == 2
    assert "--budget is that of --what adaptive, such as auto:0.08-0.5, got '0.25'" in capsys.readouterr().err


def test_the_second_of_two_runs_into_one_folder_is_refused(micro, tmp_path, capsys):
    with hold(tmp_path, BadInput):
        assert ablate(micro, tmp_path, "--what", "beta") == 2
    said = f"shirg: error: --output: {tmp_path} is in use by another run; wait for it, or choose another\n"
    assert capsys.readouterr().err == said


def test_pages_of_another_split_are_other_pages_and_do_not_mix(micro, tmp_path, capsys):
    assert ablate(micro, tmp_path, "--what", "beta", "--tiers", "plain", "--split", "valid") == 0
    (row, *_) = read_rows(tmp_path / "ablations.jsonl")
    assert (row["split"], row["command"]) == (
        "valid",
        SEEDED.format("beta").replace(" --regime", " --split valid --regime"),
    )
    assert ablate(micro, tmp_path, "--what", "beta", "--tiers", "plain", "--split", "train") == 2
    assert "--split must be one of test, valid, got 'train'" in capsys.readouterr().err


def test_rows_and_tables_are_written_and_the_next_run_reads_the_answers(micro, tmp_path, capsys, monkeypatch):
    assert ablate(micro, tmp_path, "--what", "beta,adapted", "--tiers", "plain") == 0
    out, err = capsys.readouterr()
    assert "6/6" in err
    assert "**beta, untrained**\n\n| variant | budget | plain |\n" in out
    assert "adapted: no rows, because no --adapter was given" in out
    rows = read_rows(tmp_path / "ablations.jsonl")
    assert [row["variant"] for row in rows] == ["v2", "v2, β = 0"] * 3
    assert {row["command"] for row in rows} == {SEEDED.format("beta")}
    assert {row["schema"] for row in rows} == {"shirg.ablation/1"}
    assert all(row["difference"] == 0 for row in rows if row["variant"] == row["reference"])
    assert sorted(path.name for path in tmp_path.iterdir()) == [LOCK_FILE, "ablations.jsonl", "chunks"]
    monkeypatch.delattr("shirg_bench.accuracy.measure.draw")
    assert ablate(micro, tmp_path, "--what", "beta", "--tiers", "plain", "--quiet") == 0
    assert capsys.readouterr().err == ""
    assert read_rows(tmp_path / "ablations.jsonl") == rows


def test_adapters_are_compared(micro, tmp_path, capsys):
    low = write_adapter(micro, tmp_path / "low", 2)
    high = write_adapter(micro, tmp_path / "high", 4, "original")
    options = ("--what", "adapter,adapted", "--tiers", "cluttered", "--adapter", f"r2={low}", "--adapter", f"r4={high}")
    assert ablate(micro, tmp_path / "out", *options) == 0
    rows = read_rows(tmp_path / "out" / "ablations.jsonl")
    adapted = [row for row in rows if row["ablation"] == "adapted"]
    assert {row["adapter"] for row in adapted} == {None, "r2", "r4"}
    assert {row["adapter"] for row in rows if row["ablation"] == "adapter"} == {"r2", "r4"}
    assert min(row["same_answers"] for row in adapted) < 1
    assert {row["positions"] for row in adapted if row["adapter"] == "r4"} == {"original"}
    assert {row["positions"] for row in adapted if row["adapter"] == "r2"} == {"packed"}
    assert all(row["nll"] > 0 for row in adapted)
    assert "**adapted: validation NLL in nats per token, untrained**" in capsys.readouterr().out
    assert str(tmp_path) not in (tmp_path / "out" / "ablations.jsonl").read_text(encoding="utf-8")


def test_adapters_tables_have_one_reference_each(micro, tmp_path, capsys, monkeypatch):
    for number, name in enumerate("abc", start=1):
        write_adapter(micro, tmp_path / name, number)
    monkeypatch.setattr("shirg_bench.accuracy.model_ablations.BUDGETS", (1 / 3,))

    def run(*adapters, what="adapter", tier="plain"):
        given = [part for name, folder in adapters for part in ("--adapter", f"{name}={tmp_path / folder}")]
        return ablate(micro, tmp_path / "out", "--what", what, "--tiers", tier, *given)

    assert run(("a", "a"), ("b", "b")) == 0
    assert run(("c", "c"), ("a", "a")) == 0
    path = tmp_path / "out" / "ablations.jsonl"
    rows = read_rows(path)
    assert {row["reference"].partition(", ")[2] for row in rows} == {"c"}
    assert len({(row["variant"], row["budget"]) for row in rows}) == len(rows)
    before = path.read_bytes()
    monkeypatch.setattr("shirg_bench.accuracy.measure.draw", None)
    capsys.readouterr()
    assert run(("a", "a"), ("c", "c"), tier="cluttered") == 2
    error = capsys.readouterr().err
    assert "(adapter, untrained, plain), measured with another reference (full, c, now full, a)" in error
    assert run(("c", "b"), ("a", "a"), tier="cluttered") == 2
    assert "measured with another adapter_weights (" in capsys.readouterr().err
    assert path.read_bytes() == before


def test_adapted_tables_grow_line_by_line_and_a_name_is_one_adapter(micro, tmp_path, capsys, monkeypatch):
    for number, name in enumerate("ab", start=1):
        write_adapter(micro, tmp_path / name, number)
    monkeypatch.setattr("shirg_bench.accuracy.model_ablations.BUDGETS", (1 / 3,))
    options = ("--what", "adapted", "--adapter")
    assert ablate(micro, tmp_path / "out", *options, f"a={tmp_path / 'a'}", "--tiers", "plain") == 0
    assert ablate(micro, tmp_path / "out", *options, f"b={tmp_path / 'b'}", "--tiers", "plain") == 0
    rows = read_rows(tmp_path / "out" / "ablations.jsonl")
    assert {row["adapter"] for row in rows} == {None, "a", "b"}
    assert len({row["adapter_weights"] for row in rows if row["adapter"]}) == 2
    capsys.readouterr()
    assert ablate(micro, tmp_path / "out", *options, f"a={tmp_path / 'b'}", "--tiers", "cluttered") == 2
    assert "(adapted, untrained, plain), measured with another adapter_weights" in capsys.readouterr().err


def test_lines_for_a_table_of_other_pages_are_refused_before_they_are_measured(micro, tmp_path, capsys, monkeypatch):
    options = ("--what", "budget", "--tiers", "plain", "--methods")
    assert ablate(micro, tmp_path, *options, "full,pooling") == 0
    capsys.readouterr()
    with monkeypatch.context() as patch:
        patch.setattr("shirg_bench.accuracy.measure.draw", None)
        assert ablate(micro, tmp_path, *options, "pooling", "--pages", 2) == 2
        error = capsys.readouterr().err
        assert "other lines of this table (untrained, plain), measured with another pages (1, now 2): " in error
        assert error.count("\n") == 1
    assert ablate(micro, tmp_path, *options, "full,pooling", "--pages", 2) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--what", "colour"), "--what must name some of budget, kinds, adaptive, coverage,"),
        (("--what", ""), "--what must name some of budget, kinds, adaptive, coverage,"),
        (("--methods", "full,magic"), "--methods: unknown method 'magic'; known: v2, v3"),
        (("--methods", "baseline"), "--methods: the budget table has no baseline: full is the same here"),
        (("--methods", "redvtp"), "--methods: the budget table has no redvtp: see `shirg ablate --what late`"),
        (("--tiers", "plain,grim"), "--tiers must name some of plain, cluttered, got 'grim'"),
        (("--adapter", "r16"), "--adapter must be NAME=FOLDER, got 'r16'"),
        (
            ("--adapter", "a=micro-lora", "--adapter", "a=micro-lora-language"),
            "--adapter names must be unique",
        ),
        (("--adapter", "a=nowhere", "--what", "adapter"), "nowhere"),
        (
            ("--adapter", "a=micro-lora", "--what", "late"),
            "--adapter is for --what adapter or adapted, got --what late",
        ),
        (("--run", "a=runs", "--what", "late"), "--run is for --what learned, got --what late"),
        (("--methods", "v4", "--what", "late"), "--methods is for --what budget, got --what late"),
        (("--budget", "auto", "--what", "late"), "--budget is for --what adaptive, got --what late"),
        (("--model", "nowhere"), "'nowhere' is neither a folder nor a hub id"),
        (("--pages", "0"), "--pages"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(micro, tmp_path, capsys, options, message):
    assert ablate(micro, tmp_path, *options) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_the_budget_table_of_some_methods(micro, tmp_path):
    options = ("--what", "budget, budget", "--methods", "pooling, full", "--tiers", " plain, easy")
    assert ablate(micro, tmp_path, *options) == 0
    rows = read_rows(tmp_path / "accuracy_budget.jsonl")
    assert [row["method"] for row in rows] == ["full", "pooling"]
    assert {row["command"] for row in rows} == {SEEDED.format("budget") + " --methods pooling,full"}


def test_a_folder_must_say_its_regime(micro, tmp_path, capsys):
    assert shirg("ablate", "--model", micro, "--output", tmp_path) == 2
    assert "--regime must say how the model in" in capsys.readouterr().err


@pytest.mark.parametrize("model", [(), ("--model", "micro-joint")])
def test_an_empty_regime_is_not_one_that_was_left_out(model, tmp_path, capsys):
    assert shirg("ablate", *model, "--regime", "", "--output", tmp_path) == 2
    assert "--regime must say how the model was trained, got ''" in capsys.readouterr().err


def test_a_folder_of_the_embedded_models_name_never_has_its_regime(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_micro(tmp_path / "micro")
    options = ("--what", "budget", "--methods", "full", "--pages", 1, "--tiers", "plain", "--output", "out")
    assert shirg("ablate", *options) == 0
    (row,) = read_rows(tmp_path / "out" / "accuracy_budget.jsonl")
    assert (row["regime"], row["checkpoint"]) == ("frozen tower", folder_digest(checkpoint_folder()))
    assert "--model" not in row["command"]
    capsys.readouterr()
    assert shirg("ablate", *options, "--model", "micro") == 2
    assert "--regime must say how the model in micro was trained" in capsys.readouterr().err
    assert shirg("ablate", *options, "--model", "micro", "--regime", "untrained") == 0
    rows = read_rows(tmp_path / "out" / "accuracy_budget.jsonl")
    assert rows[1]["checkpoint"] == folder_digest(tmp_path / "micro")
    assert shirg("ablate", *options, "--model", checkpoint_folder()) == 0


def test_damaged_answers_are_said_and_measured_again(micro, tmp_path, capsys):
    assert ablate(micro, tmp_path, "--what", "beta", "--tiers", "plain") == 0
    rows = read_rows(tmp_path / "ablations.jsonl")
    path = tmp_path / "chunks" / "answers_0.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([b"no\n", lines[1][:40], b"\n", *lines[2:]]))
    capsys.readouterr()
    assert ablate(micro, tmp_path, "--what", "beta", "--tiers", "plain") == 0
    error = " ".join(capsys.readouterr().err.split())
    assert "2 damaged line(s) of the journal, measured again: answers_0.jsonl, line 1; answers_0.jsonl, line 2" in error
    assert read_rows(tmp_path / "ablations.jsonl") == rows


@pytest.mark.parametrize(
    ("what", "file"),
    [("beta", "ablations.jsonl"), ("budget", "accuracy_budget.jsonl"), ("kinds", "accuracy_kinds.jsonl")],
)
def test_a_damaged_results_file_is_refused_before_anything_is_measured(
    micro, tmp_path, capsys, monkeypatch, what, file
):
    monkeypatch.setattr("shirg_bench.accuracy.measure.draw", None)
    (tmp_path / file).write_text("{\n")
    assert ablate(micro, tmp_path, "--what", what, "--tiers", "plain") == 2
    assert file + ", line 1: expected a JSON object, got '{'" in capsys.readouterr().err
