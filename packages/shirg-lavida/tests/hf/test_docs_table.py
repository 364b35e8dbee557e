"""The table of families in docs/integrate.md says what the tests of this folder run."""

from pathlib import Path

from .families import FAMILIES

PAGE = Path(__file__).parents[4] / "docs" / "integrate.md"


def row(family):
    cells = ["yes", "yes", "yes", "packed" if family.by_canvas else "original, packed"]
    more = [family.chunked, "yes" if family.deepstack else "–", "yes" if family.newline else "–"]
    return f"| {' | '.join([family.name, *cells, *more])} |"


def test_the_page_has_a_row_for_every_family_and_no_other():
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("| family |")) + 2
    assert lines[start : start + len(FAMILIES) + 1] == [*map(row, FAMILIES), ""]
