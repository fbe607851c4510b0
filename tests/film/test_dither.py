import jax
import numpy as np
import pytest

from sr_jax.film.dither import diffuse_error


def floyd_steinberg(x, most):
    """The method of 1976, pixel by pixel."""
    x = np.clip(np.float64(x), 0, most)
    rounded = np.zeros_like(x)
    height, width = x.shape
    for row in range(height):
        for column in range(width):
            rounded[row, column] = np.clip(np.rint(x[row, column]), 0, most)
            error = x[row, column] - rounded[row, column]
            for down, right, share in ((0, 1, 7), (1, -1, 3), (1, 0, 5), (1, 1, 1)):
                if row + down < height and 0 <= column + right < width:
                    x[row + down, column + right] += error * share / 16
    return rounded


@pytest.mark.parametrize('size', [(5, 9), (6, 2), (1, 4)])
def test_it_is_floyd_and_steinbergs(size):
    # Multiples of 2^-4: few sums are near a half, where float32 could round the other way.
    x = np.random.default_rng(3).integers(-16, 12 * 16, (2, *size)).astype(np.float32) / 16
    found = jax.jit(diffuse_error, static_argnums=1)(x, 11)
    np.testing.assert_array_equal(found, [floyd_steinberg(frame, 11) for frame in x])


def test_means_are_kept():
    x = np.tile(np.linspace(3, 7, 60, dtype=np.float32), (1, 40, 1))
    found = np.asarray(diffuse_error(x, 255))
    blocks = (found - x).reshape(4, 10, 6, 10).mean((1, 3))
    assert np.abs(blocks).max() < 0.05
    assert np.abs(np.rint(x) - x).reshape(4, 10, 6, 10).mean() > 0.2
