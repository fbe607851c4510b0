"""Pixel shuffle, its inverse, and bilinear enlargement."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sr_jax.layers.resampling import pixel_shuffle, pixel_unshuffle, upsample_bilinear


def test_channels_become_pixels_row_by_row():
    x = jnp.arange(8.0).reshape(1, 1, 1, 8)
    y = pixel_shuffle(x, 2)
    assert y.shape == (1, 2, 2, 2)
    np.testing.assert_array_equal(y[0, :, :, 0], [[0, 1], [2, 3]])
    np.testing.assert_array_equal(y[0, :, :, 1], [[4, 5], [6, 7]])


@pytest.mark.parametrize('factor', [1, 2, 3])
def test_unshuffling_is_the_inverse(factor):
    shape = (2, 3 * factor, 2 * factor, 5)
    x = jnp.asarray(np.random.default_rng(0).standard_normal(shape, np.float32))
    channels = pixel_unshuffle(x, factor)
    assert channels.shape == (2, 3, 2, 5 * factor**2)
    np.testing.assert_array_equal(pixel_shuffle(channels, factor), x)


@pytest.mark.parametrize('shape', [(2, 4, 5, 3), (1, 1, 2, 1)])
@pytest.mark.parametrize('factor', [1, 2, 3, 4])
def test_bilinear_is_half_pixel_centered_and_clamped(shape, factor):
    x = jnp.asarray(np.random.default_rng(1).random(shape, np.float32))
    n, h, w, c = shape

    @jax.jit
    def both(x):
        large = (n, h * factor, w * factor, c)
        expected = jax.image.resize(x, large, 'bilinear', antialias=False)
        return upsample_bilinear(x, factor), expected

    np.testing.assert_allclose(*both(x), rtol=1e-5, atol=1e-6)


def test_bilinear_weights_of_two():
    y = upsample_bilinear(jnp.array([0.0, 4.0]).reshape(1, 1, 2, 1), 2)
    np.testing.assert_array_equal(y[0, :, :, 0], [[0, 1, 3, 4]] * 2)
