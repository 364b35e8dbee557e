import pytest

from shirg_core import ShirgV2, ShirgV3
from shirg_core.adaptive_budget import AdaptiveBudget
from shirg_core.cli.errors import BadInput, bad_input, in_options
from shirg_core.cli.methods import COMPARED, build_selector, parse_any_budget, parse_budget
from shirg_core.methods import METHODS


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1.0", 1.0),
        ("768", 768),
        ("1", 1),
        ("0.3333", 0.3333),
        (".5", 0.5),
        ("1e-3", 0.001),
        ("1/4", 0.25),
        ("25%", 0.25),
        ("100%", 1.0),
        ("12.5%", 0.125),
    ],
)
def test_budgets(text, value):
    assert parse_budget(text) == value
    assert type(parse_budget(text)) is type(value)


@pytest.mark.parametrize(
    "text",
    [
        "0",
        "-3",
        "1.01",
        "1.5",
        "0.0",
        "nan",
        "inf",
        "",
        "half",
        "3 4",
        "٣",
        "1/0",
        "4/3",
        "0/3",
        "%",
        "0%",
        "101%",
        "-1/4",
    ],
)
def test_bad_budgets_are_named(text):
    with pytest.raises(BadInput, match="--budget") as caught:
        parse_budget(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "value", "rungs"),
    [
        ("auto", AdaptiveBudget(), (1 / 12, 1 / 6, 1 / 3)),
        ("auto:0.08-0.5", AdaptiveBudget(0.08, 0.5), (0.08, 0.16, 0.32, 0.5)),
        ("auto:1/4-50%@0.3", AdaptiveBudget(0.25, 0.5, 0.3), (0.25, 0.5)),
        ("auto:64-200@0", AdaptiveBudget(64, 200, 0.0), (64, 128, 200)),
        ("auto:6e-05-0.0001@1e-05", AdaptiveBudget(6e-5, 1e-4, 1e-5), (6e-5, 1e-4)),
        ("auto@1.5", AdaptiveBudget(threshold=1.5), (1 / 12, 1 / 6, 1 / 3)),
    ],
)
def test_adaptive_budgets(text, value, rungs):
    assert parse_any_budget(text) == value
    assert parse_any_budget(str(value)) == value
    assert value.rungs == rungs
    with pytest.raises(BadInput, match=f"--budget {text} is a LaViDa model's choice: shirg ask"):
        parse_budget(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("auto:0.5", "must be auto, auto:LOW-HIGH or auto:LOW-HIGH@NATS"),
        ("auto:0.1-0.2-0.3", "must be auto"),
        ("automatic", "must be auto"),
        ("auto:0.5-0.1", "high must be more than low, got 0.5 and 0.1"),
        ("auto:8-0.5", "must both be counts or both fractions (1.0 is all tokens), got 8 and 0.5"),
        ("auto:0-0.5", "--budget must be a count"),
        ("auto@1.2.3", "--budget auto@1.2.3: "),
    ],
)
def test_bad_adaptive_budgets_are_named(text, message):
    with pytest.raises(BadInput) as caught:
        parse_any_budget(text)
    assert message in str(caught.value)


def test_presets_get_the_options_they_have():
    assert build_selector("v3", 9, {"coverage": "none", "seed": None}) == ShirgV3(9, coverage="none")
    expected = ShirgV2(0.5, text_weight=0.0, coverage_share=0.25)
    assert build_selector("v2", 0.5, {"text_weight": 0.0, "coverage_share": 0.25}) == expected
    assert build_selector("random", 9, {"seed": 4}) != build_selector("random", 9, {"seed": 5})


WITHOUT_TEXT = [
    name
    for name, m in METHODS.items()
    if m.selector and "attention" not in m.needs and ("text" not in m.needs or "text_weight" in m.fields)
]


@pytest.mark.parametrize("method", WITHOUT_TEXT)
def test_every_method_that_needs_no_text_is_built(method):
    assert callable(build_selector(method, 9, METHODS[method].accepted(text_weight=0.0)))


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ("v33", {}, "unknown method 'v33', did you mean 'v3'[?] known: v2, v3"),
        ("full", {}, "'full' has no selector: Every token"),
        ("v3-tower", {}, "the vision tower's attention needs a model: without one, v3-tower cannot run"),
        ("fastv", {}, "runs only in `shirg ablate --what late`"),
        ("v3", {"text_weight": 0.0}, "no option --text-weight"),
        ("uniform", {"coverage_share": 0.5}, "no option --coverage-share"),
        ("v3", {"seed": 1}, "no option --seed"),
        ("v2", {}, "needs a model.*--text-weight 0"),
        ("v2", {"text_weight": 0.5}, "needs a model"),
        ("cdpruner", {}, "needs a model"),
        ("v3", {"coverage": "hexagons"}, "^--coverage must be one of .* got 'hexagons'"),
        ("v3", {"coverage_share": 2.0}, "^--coverage-share must be a number .* got 2.0"),
    ],
)
def test_what_cannot_be_built_is_bad_input(method, options, message):
    with pytest.raises(BadInput, match=message):
        build_selector(method, 9, options)


def test_compared_methods_exist_and_need_no_text():
    assert set(COMPARED) <= set(WITHOUT_TEXT)


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("steps must be an integer", "--steps must be an integer"),
        (
            "steps=7 must be a positive multiple of the 2 blocks",
            "--steps 7 must be a positive multiple of the 2 blocks",
        ),
        ("step_ratio=0.1 leaves no step for 4 steps", "--step-ratio 0.1 leaves no step for 4 steps"),
        ('attention="full" sees all: pass cache=False', "--attention full sees all: pass --no-cache"),
        ("the model (cache=True) has steps", "the model (--cache) has steps"),
        ("budget K=9 is larger than unsteps=3", "budget K=9 is larger than unsteps=3"),
    ],
)
def test_messages_name_options_and_leave_other_words(message, said):
    assert in_options(message, ("steps", "step_ratio", "attention", "cache")) == said
    assert in_options(message, ()) == message


def test_bad_input_converts_named_kinds_only():
    with pytest.raises(BadInput, match="here: no"), bad_input(ValueError, prefix="here: "):
        raise ValueError("no")
    with pytest.raises(KeyError), bad_input(ValueError):
        raise KeyError("x")
