"""What is hidden never shows, and what is composed before a resize is what is composed after."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sr_jax.images.resize import lanczos, resize_lanczos
from sr_jax.images.transparency import fill_hidden, limit_alpha, resize_transparent

sides = st.integers(1, 9)
types = st.sampled_from([np.uint8, np.uint16, np.float32])


def draw_image(height, width, dtype, seed, shown=0.5):
    """Colours, and an alpha with some pixels of nothing, some of all, and some between."""
    rng = np.random.default_rng(seed)
    most = 1 if dtype == np.float32 else np.iinfo(dtype).max
    color = (rng.random((height, width, 3)) * most).astype(dtype)
    alpha = np.clip(rng.normal(shown, 0.6, (height, width, 1)), 0, 1) * most
    return color, alpha.astype(dtype), most


@given(sides, sides, types, st.integers(0, 9))
def test_hidden_pixels_get_the_nearest_colour_that_is_seen(height, width, dtype, seed):
    color, alpha, _ = draw_image(height, width, dtype, seed, shown=0)
    filled = fill_hidden(color, alpha)
    assert filled.dtype == dtype
    seen = np.argwhere(alpha[..., 0] > 0)
    if len(seen) in (0, height * width):
        assert filled is color
        return
    for place in np.ndindex(height, width):
        distances = np.square(seen - place).sum(1)
        nearest = [color[tuple(other)] for other in seen[distances == distances.min()]]
        assert any((filled[place] == other).all() for other in nearest)


@given(hnp.arrays(np.uint8, hnp.array_shapes(min_dims=3, max_dims=3).map(lambda s: (*s[:2], 1))))
def test_alpha_stays_within_its_neighbours(alpha):
    scale, (height, width) = 3, alpha.shape[:2]
    rng = np.random.default_rng(0)
    enlarged = rng.integers(0, 256, (scale * height, scale * width, 1), np.uint8)
    found = limit_alpha(enlarged, alpha)
    for row, column in np.ndindex(enlarged.shape[:2]):
        i, j = row // scale, column // scale
        around = alpha[max(i - 1, 0) : i + 2, max(j - 1, 0) : j + 2]
        assert found[row, column] == np.clip(enlarged[row, column], around.min(), around.max())


@given(
    *(sides, sides, types, st.integers(0, 9)),
    st.tuples(st.integers(1, 20), st.integers(1, 20)),
    st.sampled_from([0.0, 1.0, 0.3]),
)
def test_composition_and_resizing_can_be_exchanged(height, width, dtype, seed, size, background):
    color, alpha, most = draw_image(height, width, dtype, seed)
    made, opacity = resize_transparent(color, alpha, size)
    assert (made.shape, opacity.shape) == ((*size, 3), (*size, 1))
    assert made.dtype == opacity.dtype == dtype
    made, opacity, color, alpha = (
        x.astype(np.float32) / np.float32(most) for x in (made, opacity, color, alpha)
    )
    found = made * opacity + background * (1 - opacity)
    true_alpha = lanczos(alpha[..., 0], size)
    for channel in range(3):
        true = lanczos(color[..., channel] * alpha[..., 0], size)
        kept = (true_alpha <= 1) & (true >= 0) & (true <= true_alpha)  # nothing was clipped
        off = np.abs(found[..., channel] - true - background * (1 - true_alpha))[kept]
        assert off.max(initial=0) < 1.01 / 255


@pytest.mark.parametrize('background', [0, 255, 90])
def test_a_disc_has_no_fringe_whatever_is_hidden(background):
    rows, columns = np.mgrid[0:21, 0:26]
    disc = ((columns - 12) ** 2 + (rows - 10) ** 2 < 49)[..., None]
    alpha = (255 * disc).astype(np.uint8)
    composed = np.where(disc, (255, 40, 40), background).astype(np.uint8)
    for hidden in (0, 255):
        color = np.where(disc, (255, 40, 40), hidden).astype(np.uint8)
        made, opacity = resize_transparent(fill_hidden(color, alpha), alpha, (59, 73))
        seen = opacity[..., 0] > 0
        np.testing.assert_array_equal(made[seen], np.full_like(made[seen], (255, 40, 40)))
        share = opacity / 255
        found = made * share + background * (1 - share)
        expected = resize_lanczos(composed, (59, 73)).astype(float)
        # Where the filter goes beyond an alpha of 255, it is cut off, and so is its ringing.
        low = np.minimum(background, np.array([255, 40, 40]))
        high = np.maximum(background, np.array([255, 40, 40]))
        assert np.abs(found - np.clip(expected, low, high)).max() < 1.01
