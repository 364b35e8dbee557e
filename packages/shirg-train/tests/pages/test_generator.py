import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shirg_train.testbed.pages.generator import RowGenerator


@given(st.lists(st.integers(0, 2**63), min_size=2, max_size=6), st.integers(1, 5))
def test_a_row_is_the_same_alone_and_in_company(seeds, n):
    together, alone = RowGenerator(seeds), RowGenerator(seeds[1:2])
    for _ in range(3):
        np.testing.assert_array_equal(together.uniform(n)[1], alone.uniform(n)[0])


def test_uniform_numbers_are_uniform_and_uncorrelated():
    u = RowGenerator(np.arange(2000)).uniform(50)
    assert u.min() >= 0
    assert u.max() < 1
    counts = np.histogram(u, bins=20, range=(0, 1))[0]
    assert abs(counts / u.size - 0.05).max() < 0.003
    assert abs(np.corrcoef(u[:, 0], u[:, 1])[0, 1]) < 0.08
    assert abs(np.corrcoef(u[:-1, 0], u[1:, 0])[0, 1]) < 0.08


def test_draws_follow_each_other_and_children_differ():
    generator = RowGenerator([7])
    assert not np.array_equal(generator.uniform(4), generator.uniform(4))
    children = generator.at(np.array([0, 0, 0]), np.array([1, 2, 1])).uniform(4)
    np.testing.assert_array_equal(children[0], children[2])
    assert not np.array_equal(children[0], children[1])
    np.testing.assert_array_equal(generator.at(np.array([0]), 2).uniform(4)[0], children[1])


def test_integers_choices_and_permutations_stay_in_range():
    generator = RowGenerator(np.arange(500))
    whole = generator.integers(8, 3, 6)
    assert set(np.unique(whole)) == {3, 4, 5}
    picked = generator.choose([1, 0, 3], 8)
    assert set(np.unique(picked)) == {0, 2}
    assert (picked == 2).mean() == pytest.approx(0.75, abs=0.03)
    assert (np.sort(generator.permutation(9), axis=1) == np.arange(9)).all()
