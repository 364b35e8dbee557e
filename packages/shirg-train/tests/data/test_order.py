import numpy as np
import pytest

from shirg_train.data.order import epoch_order, held_out_indices

NONE = np.zeros(0, np.int64)


@pytest.mark.parametrize("groups", [None, [4, 1, 7, 8]])
def test_an_epoch_is_every_training_sample_once(groups):
    held_out = held_out_indices(20, 5, seed=1)
    order = epoch_order(20, 3, 1, held_out=held_out, groups=groups, window=2)
    assert sorted([*order, *held_out]) == list(range(20))
    again = epoch_order(20, 3, 1, held_out=held_out, groups=groups, window=2)
    np.testing.assert_array_equal(order, again)
    assert order.tolist() != epoch_order(20, 4, 1, held_out=held_out, groups=groups, window=2).tolist()


def test_groups_are_read_a_window_at_a_time():
    order = epoch_order(100, 0, 0, held_out=NONE, groups=[10] * 10, window=2)
    for at in range(0, 100, 20):
        assert len(set(order[at : at + 20] // 10)) == 2
    assert len({tuple(sorted(set(order[at : at + 20] // 10))) for at in range(0, 100, 20)}) == 5


def test_held_out_must_leave_something():
    with pytest.raises(ValueError, match="below the 3 samples"):
        held_out_indices(3, 3, 0)
