"""Warping and motion against loops in NumPy, and the network's promises."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sr_jax.errors import InputError
from sr_jax.layers.motion import MAX_MOTION, MotionNetwork, enlarge_motion, warp
from sr_jax.layers.random_draws import draw_in_loops


def sample(plane, y, x):
    """A plane [h, w] at one position, linear between pixels, its edges repeated."""
    h, w = plane.shape
    y, x = min(max(y, 0), h - 1), min(max(x, 0), w - 1)
    top, left = int(y), int(x)
    below, beside = min(top + 1, h - 1), min(left + 1, w - 1)
    dy, dx = y - top, x - left
    upper = (1 - dx) * plane[top, left] + dx * plane[top, beside]
    lower = (1 - dx) * plane[below, left] + dx * plane[below, beside]
    return (1 - dy) * upper + dy * lower


def test_warp_is_a_loop_over_pixels_of_what_was_at_minus_the_motion():
    random = np.random.default_rng(0)
    image, motion = random.random((2, 5, 7, 3)), random.uniform(-9, 9, (2, 5, 7, 2))
    motion[0, :2] = random.integers(-2, 3, (2, 7, 2))  # whole pixels too
    expected = np.zeros_like(image)
    for n, y, x, c in np.ndindex(image.shape):
        down, right = motion[n, y, x]
        expected[n, y, x, c] = sample(image[n, :, :, c], y - down, x - right)
    found = jax.jit(warp)(jnp.asarray(image, jnp.float32), jnp.asarray(motion, jnp.float32))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_what_moves_down_and_right_is_found_again():
    image = np.random.default_rng(1).random((1, 9, 11, 2)).astype(np.float32)
    later = np.roll(image, (2, 3), (1, 2))
    moved = warp(image, jnp.broadcast_to(jnp.array([2.0, 3.0]), (1, 9, 11, 2)))
    np.testing.assert_allclose(moved[:, 2:, 3:], later[:, 2:, 3:], atol=1e-6)


def test_the_gradient_of_a_motion_is_the_slope_of_the_image():
    ramp = jnp.arange(8.0)[None, :, None, None] + 10 * jnp.arange(9.0)[None, None, :, None]
    motion = jnp.full((1, 8, 9, 2), 0.3)
    slope = jax.grad(lambda motion: warp(ramp, motion)[:, 2:-2, 2:-2].sum())(motion)
    np.testing.assert_allclose(slope[0, 3, 4], [-1, -10], rtol=1e-5)


def test_motion_is_enlarged_in_pixels_of_the_large_image():
    motion = np.random.default_rng(2).uniform(-3, 3, (1, 3, 4, 2)).astype(np.float32)
    large = enlarge_motion(motion, 4)
    np.testing.assert_allclose(large[:, ::4, ::4], 4 * motion, rtol=1e-6)


def test_the_network_mirrors_what_is_beyond_the_last_eight_pixels():
    model = MotionNetwork(features=2)
    frames = np.random.default_rng(3).random((2, 1, 19, 21, 3)).astype(np.float32)
    variables = jax.jit(draw_in_loops(model.init))(jax.random.key(0), *frames)
    apply = jax.jit(model.apply)
    motion = np.asarray(apply(variables, *frames))
    assert motion.shape == (1, 19, 21, 2) and np.abs(motion).max() < MAX_MOTION
    np.testing.assert_array_equal(motion[:, 16:], motion[:, 15:12:-1])
    np.testing.assert_array_equal(motion[:, :, 16:], motion[:, :, 15:10:-1])
    frames[1, :, 16:] = 0
    np.testing.assert_array_equal(apply(variables, *frames), motion)
    with pytest.raises(InputError, match='at least 8 pixels a side, not 7 x 9'):
        jax.eval_shape(model.init, jax.random.key(0), *np.zeros((2, 1, 7, 9, 3)))
