import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from shirg_core.precision import default_dtype
from shirg_train.noise import forward_process, mask_probability, sample_times


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(0, 12), st.integers(1, 4))
def test_masks_answer_tokens_only_and_at_least_one_in_every_row(seed, answers, prompt, batch):
    answer = (torch.arange(prompt + answers) >= prompt).expand(batch, -1)
    noise = forward_process(answer, times=torch.zeros(batch), generator=seeded(seed))
    assert not noise.masked[:, :prompt].any()
    assert noise.masked.any(dim=1).all()
    assert torch.equal(noise.complement | noise.masked, answer)
    assert not (noise.complement & noise.masked).any()


def test_probability_at_0_half_and_1():
    times = torch.tensor([0.0, 0.5, 1.0])
    torch.testing.assert_close(mask_probability(times, 0.1), torch.tensor([0.1, 0.55, 1.0]))


def test_share_of_masked_tokens_is_the_probability():
    answer = torch.ones(3, 20_000, dtype=torch.bool)
    noise = forward_process(answer, times=torch.tensor([0.1, 0.5, 1.0]), generator=seeded())
    torch.testing.assert_close(noise.masked.float().mean(dim=1), noise.probability, atol=0.015, rtol=0)
    assert noise.masked[2].all()
    assert not noise.complement[2].any()


def test_times_are_uniform_and_reproducible():
    times = sample_times(20_000, generator=seeded())
    assert abs(times.mean() - 0.5) < 0.01
    assert 0 <= times.min() < 0.001
    assert 0.999 < times.max() < 1
    answer = torch.ones(2, 9, dtype=torch.bool)
    one, two = (forward_process(answer, generator=seeded(3)) for _ in range(2))
    assert torch.equal(one.masked, two.masked)
    assert torch.equal(one.probability, two.probability)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"answer": torch.tensor([[True], [False]])}, r"rows \[1\] have no answer token"),
        ({"answer": torch.ones(1, 2)}, "bool"),
        ({"answer": torch.ones(1, 2, dtype=torch.bool), "epsilon": 1.0}, "epsilon"),
        ({"answer": torch.ones(1, 2, dtype=torch.bool), "times": torch.zeros(2)}, r"times must be \[1\]"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        forward_process(**arguments)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64], ids=["bf16", "fp64"])
def test_the_default_dtype_changes_no_mask(dtype):
    def draw():
        generator = torch.Generator().manual_seed(0)
        times = sample_times(64, generator=generator)
        return times, forward_process(torch.ones(64, 500, dtype=torch.bool), times=times, generator=generator)

    times, noise = draw()
    with default_dtype(dtype):
        other_times, other = draw()
    assert other_times.dtype == other.probability.dtype == torch.float32
    assert torch.equal(other_times, times)
    assert torch.equal(other.masked, noise.masked)
