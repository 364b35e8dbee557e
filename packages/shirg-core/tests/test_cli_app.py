import subprocess
import sys
from importlib.metadata import EntryPoint, version

import pytest

from shirg_core.cli import app, commands
from shirg_core.cli.app import main


def with_entry_points(monkeypatch, *entries):
    monkeypatch.setattr(commands, "entry_points", lambda **_: list(entries))


def entry(name, value):
    return EntryPoint(name=name, value=value, group=commands.ENTRY_POINT_GROUP)


SELECT = entry("select", "shirg_core.cli.select:select")


def test_help_names_every_command(capsys):
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert "select" in text
    assert "compare" in text
    assert main([]) == 0
    assert capsys.readouterr().out.strip() == text.strip()


@pytest.mark.parametrize(("words", "completed"), [("shirg sel", "select"), ("shirg select --me", "--method")])
def test_a_shell_completes_commands_and_options(monkeypatch, capsys, words, completed):
    with_entry_points(monkeypatch, SELECT, entry("other", "shirg_core.cli.app:main"))
    monkeypatch.setenv("_SHIRG_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(words.count(" ")))
    with pytest.raises(SystemExit):
        main([])
    assert capsys.readouterr().out.split() == [completed]


@pytest.mark.parametrize("command", ["select", "compare"])
def test_help_of_a_command(capsys, command):
    assert main([command, "-h"]) == 0
    short = capsys.readouterr().out
    assert main([command, "--help"]) == 0
    text = capsys.readouterr().out
    assert text == short
    assert "IMAGE" in text
    assert "--budget" in text


def test_the_package_is_the_command():
    done = subprocess.run([sys.executable, "-m", "shirg_core", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("shirg ")


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"shirg {version('shirg-core')}\n"


@pytest.mark.parametrize(
    "argv",
    [
        ["nonsense"],
        ["--nonsense"],
        ["select"],
        ["select", "a", "b"],
        ["select", "a", "--page", "x"],
        ["select", "--no"],
    ],
    ids=" ".join,
)
def test_usage_errors_are_one_line(capsys, argv):
    assert main(argv) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("shirg: error: ")
    assert output.err.count("\n") == 1


def test_a_mistyped_command_gets_a_suggestion(capsys):
    assert main(["slect", "page.png"]) == 2
    assert "unknown command 'slect', did you mean 'select'? known: " in capsys.readouterr().err


def test_broken_command_costs_one_warning(monkeypatch, capsys):
    with_entry_points(monkeypatch, SELECT, entry("broken", "shirg_core_no_such_module:run"))
    assert main(["--help"]) == 0
    output = capsys.readouterr()
    assert "select" in output.out
    assert output.err.count("\n") == 1
    assert "warning: command 'broken'" in output.err
    assert main(["select", "none.png"]) == 2
    assert "broken" not in capsys.readouterr().err


def test_asking_for_a_broken_command_fails(monkeypatch, capsys):
    with_entry_points(monkeypatch, entry("broken", "shirg_core.cli.app:no_such_function"))
    assert main(["broken"]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_commands_are_loaded_only_when_asked_for(monkeypatch, capsys):
    with_entry_points(monkeypatch, entry("other", "shirg_core.cli.app:main"), entry("bad", "shirg_core_missing:x"))
    assert main(["other", "--help"]) == 0
    assert capsys.readouterr().err == ""


def test_missing_extra_says_so_in_one_line(monkeypatch, capsys):
    def run(_argv):
        raise ModuleNotFoundError("No module named 'PIL.Image'", name="PIL.Image")

    monkeypatch.setattr(commands, "run", run)
    assert main(["select", "x"]) == 1
    assert capsys.readouterr().err == (
        "shirg: error: the command needs PIL, which is not installed: install shirg-core[cli]\n"
    )


def test_missing_typer_says_so_too(monkeypatch, capsys):
    monkeypatch.delitem(sys.modules, "shirg_core.cli.commands")
    monkeypatch.setitem(sys.modules, "typer", None)
    assert main(["--help"]) == 1
    assert "needs typer" in capsys.readouterr().err


def test_other_failures_are_not_swallowed(monkeypatch):
    def run(_argv):
        raise ModuleNotFoundError("No module named 'colours'", name="colours")

    monkeypatch.setattr(commands, "run", run)
    with pytest.raises(ModuleNotFoundError, match="colours"):
        app.main(["select"])


def test_help_does_not_wait_for_heavy_imports():
    code = (
        "import sys; from shirg_core.cli.app import main; code = main(['--help']); "
        "heavy = {'torch', 'matplotlib', 'numpy', 'PIL'} & set(sys.modules); "
        "sys.exit(f'imported {sorted(heavy)}' if heavy else code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
