"""Reading and settling a ledger: what is missing or wrong is named, numbers come out of results files."""

import json

import pytest

from shirg_bench.ledger import LedgerError, Reference, count_verdicts, read_claims, read_numbers, settle
from shirg_bench.ledger.settle import look_up

CLAIM = """
- id: fast
  claim: It is fast.
  source: a paper
  verdict: holds
  measured: "{ours:.1f} ms, {ratio:.2f} of {theirs:.0f} ms."
  command: nox -s bench
  bar: ours < theirs
"""
NUMBERS = """
- file: times.jsonl
  match: {kind: time}
  value: ms
  numbers: {ours: {name: ours, budget: 0.3333}, theirs: {name: theirs}}
- file: times.jsonl
  match: {name: ours, budget: 0.3333}
  value: ratio
  numbers: {ratio: {}}
"""
ROWS = [
    {"kind": "time", "name": "ours", "budget": 1 / 3, "ms": 1.25, "ratio": 0.5},
    {"kind": "time", "name": "ours", "budget": 0.5, "ms": 9.0, "ratio": 3.6},
    {"kind": "time", "name": "theirs", "budget": None, "ms": 2.5},
]


@pytest.fixture
def results(tmp_path):
    (tmp_path / "times.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return tmp_path


def test_numbers_are_read_from_results(results):
    (settled,) = settle(read_claims(CLAIM, read_numbers(NUMBERS)), results)
    assert settled.measured == "1.2 ms, 0.50 of 2 ms."
    assert settled.values == {"ours": 1.25, "theirs": 2.5, "ratio": 0.5}
    assert settled.problem == ""


def test_missing_files_and_rows_are_named(results, tmp_path):
    claims = read_claims(CLAIM, read_numbers(NUMBERS))
    (results / "times.jsonl").write_text(json.dumps(ROWS[0]) + "\n")
    (settled,) = settle(claims, results)
    assert settled.measured == "No numbers: times.jsonl has 0 rows with kind=time, name=theirs."
    (settled,) = settle(claims, tmp_path / "nowhere")
    assert settled.measured == "No numbers: times.jsonl is not there."


@pytest.mark.parametrize(
    ("match", "value", "message"),
    [
        ({"name": "ours"}, "ms", r"2 rows with name=ours"),
        ({"name": "theirs"}, "ratio", r"ratio of name=theirs is None, not a number"),
        ({"name": "theirs", "budget": 0.5}, "ms", r"0 rows"),
    ],
    ids=["ambiguous", "no number", "none"],
)
def test_a_reference_means_one_number(match, value, message):
    with pytest.raises(LedgerError, match=message):
        look_up(Reference("times.jsonl", match, value), ROWS)


@pytest.mark.parametrize("key", ["id", "claim", "source", "verdict", "measured", "command"])
def test_a_row_without_verdict_or_command_fails(key):
    numbers = read_numbers(NUMBERS)
    lines = CLAIM.splitlines()
    without = [line for line in lines if f"  {key}:" not in line and f"- {key}:" not in line]
    text = "\n".join(without) if key != "id" else "\n".join(without).replace("  claim", "- claim", 1)
    with pytest.raises(LedgerError, match=rf"missing keys \['{key}'\]"):
        read_claims(text, numbers)
    empty = "\n".join(re_emptied(line, key) for line in lines)
    with pytest.raises(LedgerError, match=key):
        read_claims(empty, numbers)


def re_emptied(line, key):
    start, found, _ = line.partition(f"{key}:")
    return f'{start}{key}: ""' if found and start in ("  ", "- ") else line


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("verdict: holds", "verdict: perhaps", "verdict must be one of holds, partly, fails, not testable here"),
        ("command: nox", "comand: nox", r"missing keys \['command'\], unknown keys \['comand'\]"),
        ("{ratio:.2f}", "{speed:.2f}", "not defined: speed"),
        ("ours < theirs", "ours < 2 *", "bar 'ours < 2 \\*': not a comparison"),
        ("ours < theirs", "ours < 2 ** 9", r"not a number: '2 \*\* 9'"),
        ("ours < theirs", "abs(ours) < theirs", r"not a number: 'abs\(ours\)'"),
        ("ours < theirs", "ours.__class__ < theirs", "not a number: 'ours.__class__'"),
        ("ours < theirs", "ours", "not a comparison of numbers: 'ours'"),
        ("ours < theirs", "ours < True", "not a number: 'True'"),
        ("{ours:.1f} ms", "{ours:.1f ms", "not a text with numbers"),
        ("ours < theirs", "ours < hers", "not defined: hers"),
    ],
)
def test_mistakes_are_named(old, new, message):
    with pytest.raises(LedgerError, match=message):
        read_claims(CLAIM.replace(old, new), read_numbers(NUMBERS))


def test_ids_and_names_are_unique():
    numbers = read_numbers(NUMBERS)
    with pytest.raises(LedgerError, match="share an id: fast"):
        read_claims(CLAIM + CLAIM, numbers)
    with pytest.raises(LedgerError, match="'ours' is defined twice"):
        read_numbers(NUMBERS + NUMBERS)


@pytest.mark.parametrize("text", ["a: b", "[1, 2]", "- [", ""], ids=["mapping", "numbers", "broken", "empty"])
def test_files_that_are_no_ledger(text):
    with pytest.raises(LedgerError):
        read_claims(text, {})


def test_verdicts_stand_only_where_the_numbers_bear_them_out(results, tmp_path):
    others = [
        CLAIM.replace("fast", name).replace("verdict: holds", f"verdict: {said}") for name, said in OTHERS.items()
    ]
    claims = read_claims(CLAIM + "".join(others), read_numbers(NUMBERS))
    settled = settle(claims, results)
    assert [each.bar_met for each in settled] == [True] * 4
    assert [each.verdict for each in settled] == ["holds", "contradicted", "partly", "not testable here"]
    counted = {"holds": 1, "partly": 1, "fails": 0, "not testable here": 1, "contradicted": 1}
    assert count_verdicts(settled) == counted
    (results / "times.jsonl").write_text("".join(json.dumps({**row, "ms": -row["ms"]}) + "\n" for row in ROWS))
    assert [each.verdict for each in settle(claims, results)] == [
        "contradicted",
        "fails",
        "partly",
        "not testable here",
    ]
    nowhere = settle(claims, tmp_path / "nowhere")
    assert [each.verdict for each in nowhere] == [*["no numbers"] * 3, "not testable here"]
    assert {each.bar_met for each in nowhere} == {None}


@pytest.mark.parametrize(
    ("bar", "rows", "met"),
    [
        ("ours >= theirs + 0.05", (0.95, 0.9), True),
        ("ours < theirs - 0.2", (0.6, 0.8), False),
        ("ours <= 1.1 * theirs", (1.21, 1.1), True),
        ("ours <= theirs / 3 and ours >= 1 / 3 * theirs", (0.1, 0.3), True),
        ("ours >= 0.97 * theirs", (0.9699, 1), False),
        ("ours <= -0.02 or theirs < -0.01 < 0", (0.1, -0.02), True),
        ("ours <= -0.02 or 0 < theirs < 0.1", (0.1, 0.1), False),
    ],
)
def test_bars_are_met_in_decimals(results, bar, rows, met):
    written = [{**row, "ms": ms} for row, ms in zip((ROWS[0], ROWS[2]), rows, strict=True)]
    (results / "times.jsonl").write_text("".join(json.dumps(row) + "\n" for row in written))
    (settled,) = settle(read_claims(CLAIM.replace("ours < theirs", bar), read_numbers(NUMBERS)), results)
    assert settled.bar_met is met


OTHERS = {"slow": "fails", "middling": "partly", "unseen": "not testable here"}


def test_what_is_not_finite_is_no_number():
    with pytest.raises(LedgerError, match="ms of name=a is nan, not a number"):
        look_up(Reference("times.jsonl", {"name": "a"}, "ms"), [{"name": "a", "ms": float("nan")}])
