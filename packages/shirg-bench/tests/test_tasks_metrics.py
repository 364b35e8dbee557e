"""Metrics of the lmms-eval tasks, by cases worked out by hand."""

import pytest

from shirg_bench.tasks import metrics


@pytest.mark.parametrize(
    ("prediction", "answer", "distance"),
    [("", "", 0), ("482", "482", 0), ("482", "48", 1), ("428", "482", 2), ("", "482", 3), ("kitten", "sitting", 3)],
)
def test_edit_distance(prediction, answer, distance):
    assert metrics.edit_distance(prediction, answer) == distance
    assert metrics.edit_distance(answer, prediction) == distance


@pytest.mark.parametrize(
    ("prediction", "answer", "score"),
    [
        ("482.7", "482.7", 1.0),
        (" Total ", "TOTAL", 1.0),
        ("482.1", "482.7", 0.8),
        ("4827", "482.7", 0.8),
        ("489", "482", 2 / 3),
        ("41", "42", 0.0),  # half of it wrong: NL is 0.5, and the paper wants less
        ("", "42", 0.0),
        ("it is 42", "42", 0.0),
    ],
)
def test_anls_is_similarity_above_a_half(prediction, answer, score):
    assert metrics.anls(prediction, answer) == pytest.approx(score)


@pytest.mark.parametrize(
    ("prediction", "answer", "right"),
    [
        ("105", "100", 1),
        ("95", "100", 1),
        ("105.1", "100", 0),
        ("100.0", "100", 1),
        ("21%", "20%", 1),
        ("20", "20%", 0),
        ("0.2", "20%", 1),
        ("0", "0", 1),
        ("0.01", "0", 0),
        ("nan", "100", 0),
        ("19%", "20%", 1),
        ("1.05", "1", 1),
        ("0.95", "1", 1),
        ("0.021", "0.02", 1),
        ("0.0210000000000000000000000001", "0.02", 0),
        ("-21", "-20", 1),
        ("21", "-20", 0),
        ("1e2", "100", 1),
        ("20 %", "20%", 1),
        ("1e999999999", "5", 0),
        ("1e999999999", "1e999999999", 1),
        ("inf", "100", 0),
        ("NaN", "nan", 1),
        ("1/2", "0.5", 0),
        ("north", "North", 1),
        ("north", "100", 0),
    ],
)
def test_relaxed_accuracy_allows_five_percent_of_numbers(prediction, answer, right):
    assert metrics.relaxed_accuracy(prediction, answer) == right


def test_the_bound_of_relaxed_accuracy_is_exact_for_every_percentage():
    for answer in range(1, 101):
        for prediction in range(121):
            right = abs(prediction - answer) * 20 <= answer
            for scale in ("{}", "{}%", "0.{:03d}"):
                given, wanted = scale.format(prediction), scale.format(answer)
                assert metrics.relaxed_accuracy(given, wanted) == right, (given, wanted)


def test_exact_match_forgives_case_and_outer_space_only():
    assert metrics.exact_match(" 48.2\n", "48.2") == 1
    assert metrics.exact_match("48.2 ", "482") == 0
    assert metrics.exact_match("48.20", "48.2") == 0


def test_questions_count_for_everything_and_for_their_tier_or_print_size():
    doc = {"task": "shirg_docs", "tier": "hard", "print_size": "5px", "answer": "482.7"}
    near, no = pytest.approx(0.8), 0
    assert metrics.docs_results(doc, ["482.1"]) == {
        "anls": near, "anls_cluttered": near, "exact_match": no, "exact_match_cluttered": no,
    }  # fmt: skip
    doc = {"task": "shirg_charts_hd", "tier": "easy", "print_size": "14px", "answer": "20%"}
    assert metrics.charts_results(doc, ["21%"]) == {
        "relaxed_accuracy": 1, "relaxed_accuracy_14px": 1, "exact_match": 0, "exact_match_14px": 0,
    }  # fmt: skip
    assert metrics.needle_results(doc, ["20%"]) == {"exact_match": 1, "exact_match_14px": 1}
