import pytest
from hypothesis import given
from hypothesis import strategies as st

from shirg_lavida.sampling.schedule import PLANNED, transfer_plan


@given(
    st.integers(0, 70),
    st.integers(1, 70),
    st.sampled_from(PLANNED),
    st.sampled_from([1e-3, 0.1, 1 / 3, 1.0, 3.0, 100.0]),
)
def test_a_plan_settles_every_token_and_wastes_no_step(masked, steps, schedule, shift):
    (plan,) = transfer_plan([masked], steps, schedule=schedule, shift=shift)
    assert len(plan) == steps
    assert sum(plan) == masked
    used = min(steps, masked)
    assert all(count >= 1 for count in plan[:used])
    assert not any(plan[used:])


@pytest.mark.parametrize(
    ("schedule", "shift", "expected"),
    [
        (None, 1.0, [3, 3, 2, 2]),
        ("linear", 1.0, [3, 2, 3, 2]),
        ("cosine", 1.0, [2, 3, 4, 1]),
        ("shift", 1 / 3, [5, 3, 1, 1]),
        ("shift", 3.0, [1, 2, 2, 5]),
        ("shift", 1.0, [3, 2, 3, 2]),
    ],
)
def test_ten_tokens_in_four_steps_by_hand(schedule, shift, expected):
    assert transfer_plan([10], 4, schedule=schedule, shift=shift) == [expected]


def test_surplus_is_taken_back_round_robin_from_the_curves_start():
    # σ(i/8)·10 floors to 0 1 2 3 5 6 7 8 10: no surplus. Cosine's flat ends give counts 0, raised to 1, and a surplus.
    assert transfer_plan([8], 8, schedule="cosine") == [[1] * 8]
    (plan,) = transfer_plan([12], 8, schedule="cosine")
    assert sum(plan) == 12
    assert plan[0] == plan[-1] == 1


def test_rows_are_planned_alone():
    rows = transfer_plan([4, 0, 9], 6, schedule="shift")
    assert rows == [transfer_plan([m], 6, schedule="shift")[0] for m in (4, 0, 9)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"steps": 0}, "at least one step"),
        ({"steps": 2, "schedule": "quadratic"}, "'quadratic'"),
        ({"steps": 2, "shift": 0.0}, "shift must be a finite number > 0, got 0.0"),
        ({"steps": 2, "shift": float("nan")}, "got nan"),
        ({"steps": 2, "shift": "x"}, "shift must be a finite number > 0, got 'x'"),
        ({"steps": 2, "shift": True}, "shift must be a finite number > 0, got True"),
        ({"steps": 2, "shift": float("inf")}, "got inf"),
        ({"steps": 2, "schedule": "shift", "shift": 1e300}, "float32 can work with, got 1e[+]300"),
        ({"steps": 2, "schedule": "shift", "shift": 1e-9}, "float32 can work with, got 1e-09"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        transfer_plan([4], **arguments)
