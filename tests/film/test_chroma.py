import jax
import numpy as np
import pytest

from sr_jax.film import chroma
from sr_jax.film.formats import PixelFormat

# The first sample's row and column among luma's, for halved sides.
PLACES = {
    'left': (0.5, 0),
    'center': (0.5, 0.5),
    'topleft': (0, 0),
    'top': (0, 0.5),
    'bottomleft': (1, 0),
    'bottom': (1, 0.5),
}
ENLARGE = jax.jit(chroma.enlarge, static_argnums=(1, 2, 3, 4))
REDUCE = jax.jit(chroma.reduce, static_argnums=(1, 2, 3))


def ramp(rows, columns):
    return np.float32(0.3 * rows[:, None] - 0.2 * columns[None])[None]


@pytest.mark.parametrize('interlaced', [False, True])
@pytest.mark.parametrize('place', PLACES)
def test_samples_keep_their_places(place, interlaced):
    format = PixelFormat('yuv', 8, 2, 2)
    row, column = PLACES[place]
    small = ramp(2 * np.arange(13) + row, 2 * np.arange(11) + column)
    large = ramp(np.arange(25), np.arange(21))
    enlarged = ENLARGE(small, (25, 21), format, place, interlaced)
    inner = slice(None), slice(6, -8), slice(6, -6)
    np.testing.assert_allclose(enlarged[inner], large[inner], atol=1e-5)
    reduced = REDUCE(large, format, place, interlaced)
    inner = slice(None), slice(4, -5), slice(3, -3)
    assert reduced.shape == small.shape
    np.testing.assert_allclose(reduced[inner], small[inner], atol=1e-5)


def test_a_quarter_of_a_row():
    format = PixelFormat('yuv', 8, 4, 1)
    for place, first in (('left', 0), ('center', 1.5)):
        large = ramp(np.arange(3), np.arange(50))
        small = ramp(np.arange(3), 4 * np.arange(13) + first)
        enlarged = ENLARGE(small, (3, 50), format, place)
        np.testing.assert_allclose(enlarged[..., 8:-12], large[..., 8:-12], atol=1e-5)
        reduced = REDUCE(large, format, place)
        np.testing.assert_allclose(reduced[..., 2:-3], small[..., 2:-3], atol=1e-5)


def test_what_a_small_plane_cannot_hold_does_not_fold_back():
    large = np.tile(np.float32([-0.4, 0.4]), (1, 7, 12))
    reduced = REDUCE(large, PixelFormat('yuv', 8, 2, 1), 'left')
    assert np.abs(reduced[..., 2:-2]).max() < 0.01


def test_a_single_row_and_column():
    small = np.random.default_rng(0).normal(size=(2, 1, 1)).astype(np.float32)
    enlarged = ENLARGE(small, (1, 1), PixelFormat('yuv', 8, 2, 2), 'left')
    np.testing.assert_allclose(enlarged, small, atol=1e-6)
