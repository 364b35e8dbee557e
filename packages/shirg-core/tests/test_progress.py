import gc
import io

import pytest

from shirg_core import progress
from shirg_core.progress import importing, progress_bar, spinner


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(("stream", "shown"), [(Terminal, True), (io.StringIO, False)], ids=["terminal", "pipe"])
def test_a_spinner_turns_on_a_terminal_alone(monkeypatch, stream, shown):
    stderr = stream()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(progress.sys, "stderr", stderr)
    with spinner("loading the model"):
        pass
    assert ("loading the model" in stderr.getvalue()) == shown


def test_a_closed_stderr_has_no_spinner(monkeypatch):
    monkeypatch.setattr(progress.sys, "stderr", None)
    with spinner("loading the model"):
        pass


def test_quiet_draws_nothing_and_still_says_what_is_printed(monkeypatch, capsys):
    with progress_bar(transient=False, quiet=True) as bar:
        bar.update(bar.add_task("pages", total=4), completed=3)
        bar.console.print("a note")
    assert capsys.readouterr() == ("", "a note\n")
    stderr = Terminal()
    monkeypatch.setattr(progress.sys, "stderr", stderr)
    with spinner("loading the model", quiet=True):
        pass
    assert stderr.getvalue() == ""


def test_a_bar_counts_on_stderr_and_shows_what_it_is_about(capsys):
    with progress_bar(transient=False) as bar:
        bar.update(bar.add_task("pages [easy]", total=4), completed=3)
    out, err = capsys.readouterr()
    assert out == ""
    assert "3/4" in err
    assert "pages [easy]" in err


def test_nothing_is_collected_while_libraries_are_imported_or_in_them_later():
    with importing("loading PyTorch"):
        assert not gc.isenabled()
        library = [[] for _ in range(9)]
    assert gc.isenabled()
    assert any(each is library for each in gc.get_objects(generation=2))
    with pytest.raises(ImportError), importing("loading PyTorch"):
        raise ImportError
    assert gc.isenabled()
