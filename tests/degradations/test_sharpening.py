import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

from sr_jax.degradations.sharpening import sharpen


def blur(pixels):
    line = np.exp(-0.5 * (np.arange(-25, 26) / 8.0) ** 2)
    for axis in (0, 1):
        pixels = scipy.ndimage.correlate1d(pixels, line / line.sum(), axis=axis, mode='mirror')
    return pixels


@pytest.mark.parametrize('size', [(96, 112), (20, 31), (1, 5)])
def test_it_is_the_formula(photograph, size):
    x = photograph[: size[0], : size[1]] / 255
    residual = x - blur(x)
    mask = blur((np.abs(residual) * 255 > 10).astype(float))
    expected = mask * np.clip(x + 0.5 * residual, 0, 1) + (1 - mask) * x
    ours = np.asarray(sharpen(jnp.float32(x)[None])[0])
    # A residual on the threshold to the last bit falls on either side.
    assert np.abs(ours - expected).max() < 1e-3
    assert np.abs(ours - expected).mean() < 1e-5


def test_edges_become_steeper_and_flat_parts_stay():
    x = np.full((1, 100, 120, 3), 0.4, np.float32)
    x[:, :, 60:] = 0.6
    ours = np.asarray(sharpen(jnp.asarray(x)))
    assert ours[0, 60, 60, 0] - ours[0, 60, 59, 0] > 0.22
    np.testing.assert_allclose(ours[:, :, :8], x[:, :, :8], atol=1e-4)
    assert 0 <= ours.min() and ours.max() <= 1
