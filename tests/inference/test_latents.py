"""The field of noise: its parts agree, and it is Gaussian."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sr_jax.inference.latents import BLOCK, noise

SIDE = st.integers(1, BLOCK + 9)
START = st.integers(0, 3 * BLOCK)


@given(START, START, SIDE, SIDE, st.integers(0, 9), st.integers(0, 9))
def test_parts_are_cut_from_one_field(row, column, height, width, down, right):
    large = noise((1, 2), (row, column), (height + down, width + right, 2))
    small = noise((1, 2), (row + down, column + right), (height, width, 2))
    assert large.dtype == np.float32
    np.testing.assert_array_equal(large[down:, right:], small)


def test_the_numbers_are_standard_normal_and_independent():
    x = noise((5,), (7, 11), (200, 210, 3)).astype(np.float64)
    assert abs(x.mean()) < 0.01
    assert abs(x.std() - 1) < 0.01
    assert abs((x**4).mean() - 3) < 0.1
    for shifted in (x[1:] * x[:-1], x[:, 1:] * x[:, :-1], x[BLOCK:] * x[:-BLOCK]):
        assert abs(shifted.mean()) < 0.01
    assert abs((x * noise((6,), (7, 11), x.shape)).mean()) < 0.01
