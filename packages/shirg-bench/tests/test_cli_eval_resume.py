"""`shirg eval` after a killed run, and beside another evaluation's results."""

import shutil

import pytest

from shirg_bench.lmms import model as module
from shirg_core.cli.errors import BadInput
from shirg_core.in_use import hold

from .lmms_setup import evaluation, refused, shirg, small_evaluation


@pytest.fixture(scope="module")
def finished(folder, tasks, tmp_path_factory):
    """The folder of `command` as it stands."""
    output = tmp_path_factory.mktemp("finished") / "out"
    assert shirg(*small_evaluation(folder, tasks, output)) == 0
    return output


def test_a_killed_run_resumes_to_the_same_result(command, tmp_path, monkeypatch, capsys):
    assert shirg(*command("whole")) == 0
    real, calls = module.answer, []

    def dies(*args, **options):
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append(1)
        return real(*args, **options)

    monkeypatch.setattr(module, "answer", dies)
    assert shirg(*command("killed")) == 130
    assert not (tmp_path / "killed" / "results.json").exists()
    calls.clear()
    capsys.readouterr()
    (journal,) = (tmp_path / "killed" / "journal").iterdir()
    begun = journal.read_bytes() + b'{"key": "written by a run that goes on'
    journal.write_bytes(begun)
    assert shirg(*command("killed"), "--dry-run") == 0
    assert "killed, would resume: 2 answers are in the journal" in capsys.readouterr().out
    assert journal.read_bytes() == begun
    assert shirg(*command("killed")) == 0
    assert "note  resumed: 2 answers are in the journal" in capsys.readouterr().out
    assert len(calls) == 2
    assert shirg(*command("killed")) == 0
    assert "note  already finished" in capsys.readouterr().out
    (whole, samples), (resumed, again) = evaluation(tmp_path / "whole"), evaluation(tmp_path / "killed")
    assert resumed["results"] == whole["results"]
    assert [s["filtered_resps"] for s in again] == [s["filtered_resps"] for s in samples]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (("--seed", 1), "seed: 0, this one says 1"),
        (("--seed", 1, "--limit", 2), "limit: 4, this one says 2; seed: 0, this one says 1"),
        (("--budget", 0.25), "budget: '0.5', this one says '0.25'"),
        (("--tasks", "tiny_b"), "tasks: ['tiny_a'], this one says ['tiny_b']"),
        (("--limit", 2), "limit: 4, this one says 2"),
        (("--gen-kwargs", "steps=4"), "gen_kwargs: '', this one says 'steps=4'"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_results_of_other_settings_are_not_replaced(command, tmp_path, finished, capsys, changed, said):
    shutil.copytree(finished, tmp_path / "out")
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    for number in (1, 2):
        error = refused(capsys, 2, *command("out", *changed, "--processes", number))
        assert f"holds an evaluation with {said}; choose another --output" in error
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()} == before


def test_a_stopped_run_owns_its_folder_and_the_same_settings_resume(command, tmp_path, finished, capsys):
    shutil.copytree(finished, tmp_path / "out")
    (tmp_path / "out" / "results.json").unlink()
    assert "holds an evaluation with seed: 0, this one says 1" in refused(capsys, 2, *command("out", "--seed", 1))
    assert shirg(*command("out")) == 0
    assert evaluation(tmp_path / "out")[1] == evaluation(finished)[1]
    (tmp_path / "out" / "results.json").write_text("{", encoding="utf-8")
    assert "results.json is not the record of an evaluation" in refused(capsys, 2, *command("out"))


@pytest.mark.parametrize("processes", [1, 2])
def test_the_second_of_two_evaluations_into_one_folder_is_refused(command, tmp_path, capsys, processes):
    with hold(tmp_path / "out", BadInput):
        error = refused(capsys, 2, *command("out", "--processes", processes))
    assert f"cannot write to {tmp_path / 'out'}: {tmp_path / 'out'} is in use by another run" in error


def test_a_run_that_answered_nothing_leaves_the_folder_free(command, capsys):
    assert "budget K=5000 is larger" in refused(capsys, 2, *command("out", "--budget", 5000))
    assert shirg(*command("out")) == 0
