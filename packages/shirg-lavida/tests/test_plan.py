import pytest
import torch

from shirg_lavida.sampling.answer_ids import check_ids, start_ids
from shirg_lavida.sampling.options import SamplingKeywords, SamplingOptions
from shirg_lavida.sampling.schedule import (
    PLANNED,
    block_size,
    plan_block,
    steps_per_block,
    timestep_shares,
    transfer_plan,
)

HOME = {"mask_id": 60, "vocab_size": 64, "device": torch.device("cpu")}


@pytest.mark.parametrize(
    ("length", "block", "expected"),
    [(32, None, 32), (256, None, 128), (128, None, 128), (24, 8, 8), (200, None, 128), (24, 7, 7), (24, 48, 24)],
)
def test_block_size(length, block, expected):
    assert block_size(length, block) == expected


@pytest.mark.parametrize(
    ("length", "block", "message"),
    [
        (8.0, None, "answer_length must be an integer ≥ 1, got 8.0"),
        ("8", None, "answer_length must be an integer ≥ 1, got '8'"),
        (True, None, "answer_length must be an integer ≥ 1, got True"),
        (0, None, "answer_length must be an integer ≥ 1, got 0"),
        (8, 4.0, "block_length must be an integer ≥ 1, got 4.0"),
        (24, 0, "block_length must be an integer ≥ 1, got 0"),
        (24, -8, "block_length must be an integer ≥ 1, got -8"),
    ],
)
def test_lengths_are_positive_integers(length, block, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        block_size(length, block)


@pytest.mark.parametrize(
    ("steps", "ratio", "message"),
    [
        ("4", None, "steps must be an integer ≥ 1, got '4'"),
        (8.0, None, "steps must be an integer ≥ 1, got 8.0"),
        (True, None, "steps must be an integer ≥ 1, got True"),
        (8, "0.5", "step_ratio must be a finite number > 0, got '0.5'"),
        (8, True, "step_ratio must be a finite number > 0, got True"),
    ],
)
def test_steps_and_their_ratio_are_numbers(steps, ratio, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        steps_per_block(8, 8, steps, ratio)


def test_a_draft_is_a_tensor():
    with pytest.raises(ValueError, match="draft_ids must be a tensor, got a list"):
        start_ids((1, 8), [[3, 4]], **HOME)


@pytest.mark.parametrize(
    ("steps", "ratio", "expected"),
    [(None, None, 8), (None, 0.5, 4), (None, 0.3, 2), (9, None, 3), (9, 0.5, 1), (None, 1.0, 8)],
)
def test_steps_of_a_block_of_three(steps, ratio, expected):
    assert steps_per_block(24, 8, steps, ratio) == expected


@pytest.mark.parametrize(("steps", "ratio", "expected"), [(None, None, 7), (None, 0.5, 3), (8, None, 2)])
def test_steps_of_a_block_of_four_the_last_of_which_is_shorter(steps, ratio, expected):
    assert steps_per_block(24, 7, steps, ratio) == expected


@pytest.mark.parametrize(
    ("steps", "ratio"),
    [(10, None), (0, None), (None, 0.1), (None, 0.0), (None, -1.0), (None, float("nan")), (None, float("inf"))],
)
def test_steps_that_make_no_sense(steps, ratio):
    with pytest.raises(ValueError, match="step"):
        steps_per_block(24, 8, steps, ratio)


def test_draft_begins_every_row():
    ids = start_ids((2, 5), torch.tensor([[1, 60, 2]]), **HOME)
    assert ids.tolist() == [[1, 60, 2, 60, 60]] * 2


@pytest.mark.parametrize(
    "draft",
    [
        torch.zeros(1, 6, dtype=torch.int64),
        torch.zeros(3, 2, dtype=torch.int64),
        torch.zeros(1, 2),
        torch.zeros(2),
        torch.tensor([[1, 64]]),
        torch.tensor([[-1]]),
    ],
)
def test_bad_drafts(draft):
    with pytest.raises(ValueError, match="draft"):
        start_ids((2, 5), draft, **HOME)


def test_plan_counts_each_rows_masks_and_drops_empty_steps():
    ids = torch.tensor([[1, 60, 60, 60], [1, 2, 3, 60]])
    window, quotas = plan_block(ids, 0, 4, 60, 4, None, 1.0)
    assert window == (0, 4)
    assert quotas.tolist() == [[1, 1], [1, 0], [1, 0]]


def test_timesteps_by_hand():
    # t = 1, 0.75025, 0.5005, 0.25075, 0.001: the shares are 0.24975 / t, and all of what is left.
    shares = timestep_shares(4, 4)
    torch.testing.assert_close(shares, torch.tensor([0.24975, 0.24975 / 0.75025, 0.24975 / 0.5005, 1.0]))
    plan = plan_block(torch.full((2, 8), 60), 0, 8, 60, 4, "timesteps", 1.0)
    left = torch.tensor([[60] * 7 + [1], [60] * 2 + [1] * 6])
    assert [plan.quota(step, left, 60).tolist() for step in range(4)] == [[1, 0], [2, 0], [3, 0], [7, 2]]


def test_a_ratio_leaves_out_late_timesteps():
    plan = plan_block(torch.full((1, 8), 60), 0, 8, 60, 2, "timesteps", 1.0, total=4)
    torch.testing.assert_close(plan.quotas[:, 0], torch.tensor([0.24975, 1.0]))


def test_window_reaches_back_to_masks_left_behind():
    ids = torch.tensor([[1, 60, 60, 60]])
    assert plan_block(ids, 2, 4, 60, 2, None, 1.0).window == (0, 4)
    assert plan_block(torch.tensor([[1, 2, 60, 60]]), 2, 4, 60, 2, None, 1.0).window == (2, 4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"remasking": "entrophy"}, "entrophy"),
        ({"temperature": -0.1}, "temperature"),
        ({"steps": "4"}, "steps must be an integer ≥ 1, got '4'"),
        ({"steps": 8.0}, r"steps must be an integer ≥ 1, got 8\.0"),
        ({"steps": True}, "steps must be an integer ≥ 1, got True"),
        ({"step_ratio": "0.5"}, "step_ratio must be a finite number > 0, got '0.5'"),
        ({"shift": "x"}, "shift must be a finite number > 0, got 'x'"),
        ({"schedule": "sometimes"}, "schedule must be one of"),
        ({"temperature": float("nan")}, "temperature must be a finite number ≥ 0, got nan"),
        ({"temperature": float("inf")}, "got inf"),
        ({"temperature": "0.5"}, "temperature must be a finite number ≥ 0, got '0.5'"),
        ({"confidence_threshold": "a"}, r"confidence_threshold must be a number in \(0, 1\], got 'a'"),
        ({"eos_penalty": "1"}, "eos_penalty must be a number ≥ 0, got '1'"),
        ({"confidence_threshold": 0.0}, "confidence_threshold"),
        ({"eos_penalty": -0.1}, "eos_penalty must be a number ≥ 0, got -0.1"),
        ({"eos_penalty": float("nan")}, "got nan"),
        ({"confidence_threshold": 0.9, "remasking": "margin"}, "low_confidence"),
    ],
)
def test_options_that_cannot_be_followed(changes, message):
    with pytest.raises(ValueError, match=message):
        SamplingOptions(**changes)


@pytest.mark.parametrize(("steps", "ratio"), [(None, 1e9), (None, 1e308), (3 * 10**9, None), (3 * 10**9, 2.0)])
def test_no_more_steps_than_a_block_has_tokens(steps, ratio):
    assert steps_per_block(24, 8, steps, ratio) == 8


@pytest.mark.parametrize("schedule", PLANNED)
@pytest.mark.parametrize("masked", [0, 3, 8])
def test_steps_beyond_the_blocks_length_are_empty_under_every_schedule(schedule, masked):
    (bounded,), (whole,) = (transfer_plan([masked], steps, schedule=schedule) for steps in (8, 50))
    assert whole == bounded + [0] * 42


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int32])
def test_narrow_ids_are_widened_before_they_are_compared(dtype):
    ids = check_ids("answer_ids", torch.tensor([5, 100], dtype=dtype), 126464)
    assert (ids.tolist(), ids.dtype) == ([5, 100], torch.int64)


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (torch.tensor([0, 9]), r"answer_ids must be in \[0, 9\), got 9"),
        (torch.tensor([-200]), "got -200"),
        (torch.tensor([1.0]), "integers, got torch.float32"),
        (torch.tensor([True]), "integers, got torch.bool"),
    ],
)
def test_ids_that_cannot_be_embedded(ids, message):
    with pytest.raises(ValueError, match=message):
        check_ids("answer_ids", ids, 9)


def test_type_checkers_know_every_option():
    assert SamplingKeywords.__annotations__.keys() == SamplingOptions.__annotations__.keys()
    written = {name: hint.__forward_arg__ for name, hint in SamplingKeywords.__annotations__.items()}
    assert written == SamplingOptions.__annotations__
