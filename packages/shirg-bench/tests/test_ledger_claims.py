"""The shipped ledger: complete, every command real, every number found, verdicts that agree with their numbers."""

from __future__ import annotations

import ast
import itertools
import re
import shlex
from importlib.metadata import entry_points
from pathlib import Path

import pytest
import typer

from shirg_bench.ledger import NOT_TESTABLE, count_verdicts, settle, shipped_claims, shipped_numbers
from shirg_core.methods import METHODS

REPOSITORY = Path(__file__).parents[3]
RESULTS = REPOSITORY / "packages/shirg-bench/results"
BENCHMARKS = REPOSITORY / "packages/shirg-bench/benchmarks"
CLAIMS = shipped_claims()
SETTLED = {settled.claim.id: settled for settled in settle(CLAIMS, RESULTS)}
PLACEHOLDERS = {"CHECKPOINT", "LCS_558K", "ADAPTER"}
COMMANDS = sorted({claim.command for claim in CLAIMS})


def test_every_claim_the_issue_names_is_there():
    assert len(CLAIMS) >= 90
    assert sum(count_verdicts(list(SETTLED.values())).values()) == len(CLAIMS)
    assert {
        *(
            "selection-under-30-ms",
            "overhead-10-percent",
            "cache-intact",
            "one-adapter-all-budgets",
            "ocr-plus-5-to-10",
        ),
        *("two-points-without-coverage", "beta-zero-loses-1-5", "rank-32-if-plateau", "projector-expects-729"),
        *(
            "lora-40m",
            "thirty-steps-45-ms",
            "kv-grows-with-tokens",
            "memory-pooled-18-gb",
            "nearly-twice-as-fast-as-ar",
        ),
        *("cache-3-9", "visual-detail-3-2", "chartqa-in-cider", "cls-attention", "pruning-loses-for-good"),
        *("random-is-strong", "pooling-is-strong"),
    } <= {claim.id for claim in CLAIMS}


def test_every_number_is_shown_by_a_claim():
    assert set(shipped_numbers()) == {name for claim in CLAIMS for name in claim.numbers}


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_verdicts_agree_with_the_numbers(claim):
    """Numbers may be missing only while a claim is not decided; a bar that can be checked decides it."""
    settled = SETTLED[claim.id]
    if settled.problem:
        assert claim.verdict == NOT_TESTABLE, f"{claim.verdict}, but {settled.problem}"
        return
    assert settled.measured
    said = f"{settled.measured} Its bar ({claim.bar}) is {'met' if settled.bar_met else 'not met'}: set the verdict."
    assert settled.verdict == claim.verdict, said


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_are_real(command):
    program, *words = shlex.split(command)
    {"pytest": check_node, "nox": check_session, "shirg": check_shirg}[program](words)


def check_node(words):
    (node,) = words
    path, _, test = node.partition("::")
    assert (REPOSITORY / path).is_file(), path
    if test:
        tree = ast.parse((REPOSITORY / path).read_text("utf-8"))
        names = [function.name for function in ast.walk(tree) if isinstance(function, ast.FunctionDef)]
        assert test in names, f"{path} has no {test}"


def check_session(words):
    assert words[0] == "-s"
    tree = ast.parse((REPOSITORY / "noxfile.py").read_text("utf-8"))
    assert words[1] in [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    if len(words) > 2:
        assert words[2:4] == ["--", "-k"]
        assert len(words) == 5
        chosen = [node for node in benchmark_nodes() if keyword_matches(words[4], node)]
        assert chosen, f"-k {words[4]!r} chooses no benchmark"


def check_shirg(words):
    name, *rest = words
    (entry,) = entry_points(group="shirg.commands", name=name)
    app = typer.Typer(add_completion=False)
    app.command()(entry.load())
    options = {option: param for param in typer.main.get_command(app).params for option in param.opts}
    for option in (word for word in rest if word.startswith("--")):
        assert option in options, f"shirg {name} has no {option}; it has {sorted(options)}"
    for option, value in itertools.pairwise(rest):
        if option == "--method":
            assert value in METHODS
        if option == "--what":
            assert all(part in str(options["--what"].help) for part in value.split(","))
    for word in rest:
        if re.search(r"\.(png|yaml)$", word):
            assert (REPOSITORY / word).is_file(), word
        if re.fullmatch(r"[A-Z_0-9]{4,}", word.partition("=")[2] or word):
            assert (word.rpartition("=")[2]) in PLACEHOLDERS


@pytest.mark.parametrize(
    ("check", "words"),
    [
        (check_node, ["packages/shirg-core/tests/test_presets.py::test_that_is_not_there"]),
        (check_node, ["packages/shirg-core/tests/test_of_nothing.py"]),
        (check_session, ["-s", "tea"]),
        (check_session, ["-s", "bench", "--", "-k", "no_such_benchmark"]),
        (check_shirg, ["select", "examples/page.png", "--no-such-option", "1"]),
        (check_shirg, ["select", "examples/no_such_page.png"]),
        (check_shirg, ["select", "examples/page.png", "--method", "v9"]),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else value.__name__,
)
def test_the_check_of_commands_finds_what_is_not_there(check, words):
    with pytest.raises(AssertionError):
        check(words)


def benchmark_nodes():
    """`file::function`; without parameters, so that nothing heavy is imported."""
    return [
        f"{path.name}::{node.name}"
        for path in sorted(BENCHMARKS.glob("bench_*.py"))
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]


def keyword_matches(expression, node):
    """pytest's -k for names joined by and, or, not."""
    words = re.findall(r"\w+", expression)
    values = {word: word in node for word in words if word not in ("and", "or", "not")}
    return bool(eval(expression, {"__builtins__": {}}, values))
