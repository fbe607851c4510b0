import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sr_jax.data.augmentation import augment, random_corner
from sr_jax.data.fields import IMAGE

SQUARE = np.arange(4 * 4 * 3).reshape(4, 4, 3)


def change(rng, flips, rotations):
    return augment({'hq': SQUARE}, {'hq': IMAGE}, 4, rng, flips, rotations)['hq']


def symmetries(pixels):
    return [np.rot90(side, k) for side in (pixels, pixels[:, ::-1]) for k in range(4)]


def found_among(pixels, candidates):
    return [k for k, candidate in enumerate(candidates) if np.array_equal(pixels, candidate)]


@given(
    height=st.integers(1, 9), width=st.integers(1, 9), size=st.integers(1, 9), seed=st.integers(0)
)
def test_a_crop_is_a_part_of_the_image(height, width, size, seed):
    size = min(size, height, width)
    top, left = random_corner((height, width, 3), size, np.random.default_rng(seed))
    assert 0 <= top <= height - size
    assert 0 <= left <= width - size


def test_every_position_of_a_crop_is_about_equally_likely():
    rng = np.random.default_rng(0)
    corners = [random_corner((4, 4, 3), 2, rng) for _ in range(1800)]
    _, counts = np.unique(corners, axis=0, return_counts=True)
    assert len(counts) == 9
    assert counts.min() > 140
    assert counts.max() < 260


def test_half_of_the_images_are_mirrored():
    rng = np.random.default_rng(0)
    kinds = [found_among(change(rng, True, False), [SQUARE, SQUARE[:, ::-1]]) for _ in range(400)]
    assert 160 < kinds.count([0]) < 240
    assert kinds.count([0]) + kinds.count([1]) == 400


def test_the_four_rotations_are_about_equally_likely():
    rng = np.random.default_rng(0)
    turned = [np.rot90(SQUARE, k) for k in range(4)]
    kinds = [found_among(change(rng, False, True), turned) for _ in range(400)]
    for k in range(4):
        assert 70 < kinds.count([k]) < 130


@pytest.mark.parametrize(
    ('flips', 'rotations', 'expected'),
    [
        (False, False, {0}),
        (True, False, {0, 4}),
        (False, True, {0, 1, 2, 3}),
        (True, True, set(range(8))),
    ],
)
def test_only_what_is_switched_on_is_applied(flips, rotations, expected):
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(200):
        seen.update(found_among(change(rng, flips, rotations), symmetries(SQUARE)))
    assert seen == expected
