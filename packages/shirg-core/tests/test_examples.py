"""The scripts in `examples`."""

import runpy
import sys
from pathlib import Path

import pytest
from PIL import Image

MAKE_PAGE = Path(__file__).parents[3] / "examples" / "make_page.py"


@pytest.fixture
def make_page(monkeypatch, capsys):
    """The script in this process: its exit code, and what it printed."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", [str(MAKE_PAGE), *arguments])
        try:
            runpy.run_path(str(MAKE_PAGE), run_name="__main__")
        except SystemExit as left:
            return left.code or 0, *capsys.readouterr()
        return 0, *capsys.readouterr()

    return run


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_is_told_and_nothing_drawn(make_page, option):
    page = MAKE_PAGE.with_name("page.png")
    before = page.stat().st_mtime_ns
    code, shown, _ = make_page(option)
    assert code == 0
    assert "OUT.png" in shown
    assert "PNG file to write" in shown
    assert page.stat().st_mtime_ns == before


def test_a_page_is_drawn_where_it_is_wanted_and_bad_arguments_are_one_line(make_page, tmp_path):
    assert make_page(str(tmp_path / "a.png"))[0] == 0
    with Image.open(tmp_path / "a.png") as drawn, Image.open(MAKE_PAGE.with_name("page.png")) as shipped:
        assert drawn.convert("RGB").tobytes() == shipped.convert("RGB").tobytes()
    for arguments in ([str(tmp_path / "no" / "a.png")], ["a.png", "b.png"], ["--size=3"]):
        code, _, said = make_page(*arguments)
        assert code == 2
        assert len(said.splitlines()) >= 1
