"""`shirg eval` given what it cannot do: one line and an exit code."""

import pytest
from lmms_eval.api import task as upstream
from lmms_eval.tasks import TaskManager

from shirg_bench.lmms import model as module
from shirg_bench.lmms import processes
from shirg_bench.lmms.catalogue import task_manager
from shirg_core.cli.errors import BadInput
from shirg_lavida.testing import set_config

from .lmms_setup import refused, tiny_model


@pytest.fixture(scope="module")
def one_walk():
    """Reading lmms-eval's thousands of task files takes ten seconds; these tests share it."""
    with pytest.MonkeyPatch.context() as patch:
        walk, found = TaskManager._get_task_and_group, {}
        patch.setattr(
            TaskManager,
            "_get_task_and_group",
            lambda self, folder: found[folder] if folder in found else found.setdefault(folder, walk(self, folder)),
        )
        yield


@pytest.mark.usefixtures("one_walk")
def test_official_names_are_found_behind_ours(tasks):
    names = ["chartqa", "docvqa_val", "tiny_*", "shirg_ocrbench"]
    _, found = task_manager(names, [tasks], model_name="shirg_lavida")
    assert found == ["chartqa", "docvqa_val", "tiny_a", "tiny_b", "tiny_lost", "shirg_ocrbench"]
    with pytest.raises(BadInput, match=r"unknown task\(s\): chartqqa, nothing_\*"):
        task_manager(["chartqqa", "tiny_a", "nothing_*"], [tasks], model_name="shirg_lavida")


@pytest.mark.usefixtures("one_walk")
def test_data_out_of_reach_is_one_line_and_exit_code_1(command, monkeypatch, capsys, tmp_path):
    def unreachable(**options):
        raise ConnectionError(f"Couldn't reach {options['path']!r} on the Hub")

    monkeypatch.setattr(upstream.datasets, "load_dataset", unreachable)
    said = refused(capsys, 1, *command("out", "--tasks", "chartqa,docvqa_val"))
    assert "the data of task 'chartqa' cannot be loaded: no connection to the hub" in said
    assert "Traceback" in (tmp_path / "out" / "lmms_eval.log").read_text(encoding="utf-8")
    assert not (tmp_path / "out" / "results.json").exists()


def test_failures_are_one_line(command, capsys, tmp_path, monkeypatch):
    assert "unknown method 'v9'" in refused(capsys, 2, *command("out", "--method", "v9"))
    assert "unknown generation argument 'refix_lm'" in refused(
        capsys, 2, *command("out", "--gen-kwargs", "refix_lm=True")
    )
    assert "name=value" in refused(capsys, 2, *command("out", "--gen-kwargs", "steps"))
    assert "step_ratio must be" in refused(capsys, 2, *command("out", "--gen-kwargs", "step_ratio=0"))
    (tmp_path / "closed" / "lmms_eval.log").mkdir(parents=True)
    assert f"cannot write to {tmp_path / 'closed'}: " in refused(capsys, 2, *command("closed"))
    assert "--device foo" in refused(capsys, 2, *command("out", "--device", "foo"))
    assert "budget K=5000 is larger" in refused(capsys, 2, *command("out", "--method", "v2", "--budget", 5000))
    assert "--limit must be at least 1" in refused(capsys, 2, *command("out", "--limit", 0))
    assert "names no task" in refused(capsys, 2, *command("out", "--tasks", ","))
    assert "neither a folder nor a hub id" in refused(capsys, 2, *command("out", "--model", tmp_path / "none"))
    assert "the data of task 'tiny_lost'" in refused(capsys, 1, *command("out", "--tasks", "tiny_lost"))
    assert "--gen-kwargs: task 'tiny_a': " in refused(capsys, 2, *command("out", "--gen-kwargs", "do_sample=True"))
    # A task may hold any name, so what is left out is looked up in its file.
    assert "unknown generation argument 'step_ratoi', did you mean 'step_ratio'?" in refused(
        capsys, 2, *command("out", "--gen-kwargs", "step_ratoi=none")
    )
    assert "until must be a text or a list of texts, got 8" in refused(
        capsys, 2, *command("out", "--gen-kwargs", "until=8")
    )
    monkeypatch.setattr(module, "answer", lambda *_, **__: 1 / 0)
    assert "ZeroDivisionError" in refused(capsys, 1, *command("out"))


def test_a_budget_for_a_checkpoints_own_method_that_takes_none_is_refused_before_tasks(command, tmp_path, capsys):
    own = tiny_model(tmp_path)
    set_config(own, shirg={"method": "full", "views": "single"})
    argv = command("out", "--model", own, "--budget", 0.1, "--tasks", "tiny_lost")
    at = argv.index("--method")
    assert "method 'full', the checkpoint's own, takes no budget, got 0.1" in refused(
        capsys, 2, *argv[:at], *argv[at + 2 :]
    )


def test_what_processes_would_refuse_is_refused_before_there_are_any(command, monkeypatch, capsys):
    monkeypatch.setattr(processes, "run_processes", None)
    assert "unknown method 'bogus'" in refused(capsys, 2, *command("out", "--processes", 2, "--method", "bogus"))
    assert "name=value" in refused(capsys, 2, *command("out", "--processes", 2, "--gen-kwargs", "steps"))
    assert "neither a folder nor a hub id" in refused(
        capsys, 2, *command("out", "--processes", 2, "--model", "nowhere")
    )
