"""The scripts in `examples`."""

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

MAKE_PAGE = Path(__file__).parents[3] / "examples" / "make_page.py"


def make_page(*arguments):
    return subprocess.run(
        [sys.executable, str(MAKE_PAGE), *arguments], capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_is_told_and_nothing_drawn(option):
    page = MAKE_PAGE.with_name("page.png")
    before = page.stat().st_mtime_ns
    shown = make_page(option)
    assert shown.returncode == 0
    assert "OUT.png" in shown.stdout
    assert "PNG file to write" in shown.stdout
    assert page.stat().st_mtime_ns == before


def test_a_page_is_drawn_where_it_is_wanted_and_bad_arguments_are_one_line(tmp_path):
    assert make_page(str(tmp_path / "a.png")).returncode == 0
    with Image.open(tmp_path / "a.png") as drawn, Image.open(MAKE_PAGE.with_name("page.png")) as shipped:
        assert drawn.convert("RGB").tobytes() == shipped.convert("RGB").tobytes()
    for arguments in ([str(tmp_path / "no" / "a.png")], ["a.png", "b.png"], ["--size=3"]):
        shown = make_page(*arguments)
        assert shown.returncode == 2
        assert "Traceback" not in shown.stderr
