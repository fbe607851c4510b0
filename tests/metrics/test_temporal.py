"""Metrics of time on clips whose faults are known."""

import numpy as np
import pytest

from sr_jax.metrics import temporal


def texture(height, width):
    random = np.random.default_rng(0).random((height // 4 + 2, width // 4 + 2, 3))
    rows, columns = (np.linspace(0, n // 4, n) for n in (height, width))
    from scipy.ndimage import map_coordinates

    places = np.meshgrid(rows, columns, indexing='ij')
    return np.stack([map_coordinates(random[..., c], places, order=1) for c in range(3)], -1)


def moving(frames, speed=1):
    """A window [32, 36] that goes over a texture, down by `speed` pixels a frame."""
    whole = texture(48, 44).astype(np.float32)
    return np.stack([whole[4 + speed * i : 36 + speed * i, 4:40] for i in range(frames)])


def test_motion_is_found():
    clip = moving(2, speed=2)
    motion = temporal.find_motion(*clip)
    inside = motion[:, 6:-6, 6:-6]
    np.testing.assert_allclose(inside.mean((1, 2)), [2, 0], atol=0.2)
    moved = temporal.move(clip[0], motion)
    assert np.abs(moved - clip[1])[6:-6, 6:-6].mean() < 0.02


def test_a_clip_is_like_itself_and_a_faster_one_is_not():
    truth = moving(3)
    assert temporal.motion_error(truth, truth) == 0
    assert temporal.motion_error(moving(3, 2), truth) > 0.4


def test_noise_that_does_not_move_along_is_a_warping_error():
    truth = moving(3)
    fresh = truth + np.random.default_rng(1).normal(0, 0.1, truth.shape)
    still, noisy = (temporal.warping_error(x, truth) for x in (truth, fresh))
    assert still < temporal.SEEN**2
    assert 0.01 < noisy < 0.03


def test_flicker_counts_only_where_the_truth_is_flat_and_still():
    truth = np.full((3, 6, 8, 3), 0.5)
    truth[:, :, 4:] = np.random.default_rng(2).random((6, 4, 3))
    images = truth.copy()
    images[1] += 0.1
    assert temporal.flicker(images, truth) == pytest.approx(0.1)
    images = truth.copy()
    images[1, :, 4:] += 0.1
    assert temporal.flicker(images, truth) == 0


def test_perceptual_change_is_the_difference_of_distances():
    truth = np.arange(3.0)[:, None, None, None] * np.ones((3, 2, 2, 3))
    found = temporal.perceptual_change(lambda a, b: np.abs(a - b).mean((1, 2, 3)), 3 * truth, truth)
    assert found == pytest.approx(2)
