import jax
import jax.numpy as jnp
import numpy as np

from sr_jax.layers.views import _cut, draw_view

ROWS, COLUMNS = np.mgrid[:24, :32].astype(np.float32) + 0.5
PLACES = np.stack([COLUMNS / 32, ROWS / 24, 0 * ROWS], axis=-1)  # every pixel says where it is


def test_a_cut_has_what_is_between_its_corners():
    corners = jnp.asarray([0.25, 0.125, 0.75, 0.625])
    found = np.asarray(jax.jit(_cut)(PLACES, corners))
    inner = (slice(2, -2), slice(2, -2))
    expected = np.stack([0.25 + 0.5 * COLUMNS / 32, 0.125 + 0.5 * ROWS / 24], axis=-1)
    np.testing.assert_allclose(found[inner][..., :2], expected[inner], atol=1e-5)


def test_views_are_in_their_images_and_keep_a_constant_gray():
    gray = jnp.full((40, 6, 8, 3), 0.5)
    view = jax.jit(draw_view)(jax.random.key(0), gray)
    corners = np.asarray(view.corners)
    left, right = corners[:, [0, 2]].min(axis=1), corners[:, [0, 2]].max(axis=1)
    assert left.min() >= 0 and right.max() <= 1 + 1e-6
    areas = (right - left) * (corners[:, 3] - corners[:, 1])
    assert 0.19 < areas.min() < 0.4 < 0.8 < areas.max() <= 1.0001
    mirrored = (corners[:, 2] < corners[:, 0]).mean()
    assert 0.25 < mirrored < 0.75
    assert np.ptp(np.asarray(view.images), axis=(1, 2, 3)).max() < 1e-5
    means = np.asarray(view.images).mean(axis=(1, 2, 3))
    assert means.min() > 0.29 and means.max() < 0.71 and means.std() > 0.05


def test_a_mirrored_view_says_where_its_pixels_are():
    images = jnp.broadcast_to(PLACES, (30, 24, 32, 3))
    view = jax.jit(draw_view)(jax.random.key(1), images)
    rising = np.asarray(view.images[:, 12, 24, 0] > view.images[:, 12, 8, 0])
    upright = np.asarray(view.corners[:, 2] > view.corners[:, 0])
    colored = np.ptp(np.asarray(view.images), axis=3).max(axis=(1, 2)) > 0.1  # some are gray
    np.testing.assert_array_equal(rising[colored], upright[colored])
