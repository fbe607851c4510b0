"""Enlargements that shrink to the given image: exact, no farther from the truth, and bounded."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sr_jax.errors import InputError
from sr_jax.images.resize import imresize
from sr_jax.inference.consistency import TOLERANCE, make_consistent


def shrunk(image, scale):
    return np.asarray(imresize(jnp.asarray(image), 1 / scale))


def true_image(height, width, seed=0):
    """Smooth, so that its small image stays well within [0, 1]."""
    rng = np.random.default_rng(seed)
    coarse = 0.2 + 0.6 * rng.random((height // 3 + 2, width // 3 + 2, 3))
    return coarse.repeat(3, 0).repeat(3, 1)[:height, :width].astype(np.float32)


@settings(max_examples=10)
@given(st.integers(1, 9), st.integers(1, 9), st.sampled_from([2, 3, 4]), st.integers(0, 9))
def test_it_shrinks_to_the_small_image_and_is_no_farther_from_the_truth(h, w, scale, seed):
    hq = true_image(h * scale, w * scale, seed)
    lq = shrunk(hq, scale)
    noise = np.random.default_rng(seed).normal(0, 0.1, hq.shape)
    image = np.clip(hq + noise + 0.05, 0, 1).astype(np.float32)
    found = make_consistent(image, lq)
    assert found.dtype == np.float32 and found.min() >= 0 and found.max() <= 1
    assert np.abs(shrunk(found, scale) - lq).max() <= TOLERANCE + 1e-5
    assert np.square(found - hq).sum() < np.square(image - hq).sum()
    np.testing.assert_array_equal(make_consistent(found, lq), found)


def test_the_change_is_the_least_there_is():
    """Orthogonal to everything that shrinks to nothing."""
    hq = true_image(24, 16)
    image = np.clip(hq + 0.03, 0, 1)
    change = make_consistent(image, shrunk(hq, 4)) - image
    unseen = np.random.default_rng(0).normal(0, 1, hq.shape).astype(np.float32)
    matrix = np.asarray([shrunk(e.reshape(24, 16, 1), 4).ravel() for e in np.eye(24 * 16)]).T
    flat = unseen.reshape(-1, 3)
    flat -= np.linalg.pinv(matrix) @ (matrix @ flat)
    assert np.abs(matrix @ flat).max() < 1e-4
    cosine = np.vdot(change, unseen) / np.linalg.norm(change) / np.linalg.norm(unseen)
    assert abs(cosine) < 1e-4


def test_a_small_image_that_nothing_shrinks_to_is_met_as_nearly_as_can_be():
    lq = np.indices((6, 5)).sum(0)[..., None] % 2 * np.ones((1, 1, 3))  # a board of 0 and 1
    image = np.full((24, 20, 3), 0.5, np.float32)
    found = make_consistent(image, lq)
    assert found.min() >= 0 and found.max() <= 1
    assert np.abs(shrunk(found, 4) - lq).mean() < 0.6 * np.abs(shrunk(image, 4) - lq).mean()


def test_other_sizes_are_refused():
    with pytest.raises(InputError, match='9x8 pixels is no whole number of times as large as 2x2'):
        make_consistent(np.zeros((8, 9, 3)), np.zeros((2, 2, 3)))
