"""What tapes do, each by its formula, and all together on clips."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sr_jax import degradations
from sr_jax.degradations import gaussian, tape
from sr_jax.degradations.settings import TapeSettings
from sr_jax.errors import InputError

QUIET = TapeSettings(
    gain=(1.0, 1.0),
    offset=(0.0, 0.0),
    saturation=(1.0, 1.0),
    hue=(0.0, 0.0),
    crosstalk=(0.0, 0.0),
    generations=(1, 1),
    luma_band=(900.0, 900.0),
    chroma_band=(900.0, 900.0),
    chroma_delay=(0.0, 0.0),
    chroma_lines=(0, 0),
    noise=(0.0, 0.0),
    dropouts=0.0,
    jitter=0.0,
    switch_prob=0.0,
    field_prob=0.0,
)


def clips(n=2, t=3, h=24, w=36, seed=0):
    return np.random.default_rng(seed).random((n, t, h, w, 3), np.float32)


@pytest.fixture(scope='module')
def play():
    return jax.jit(tape.degrade, static_argnums=(1, 2))


def test_without_all_of_it_a_tape_is_the_gaussian_alone(play):
    hq = clips()
    found = play(hq, 4, QUIET, jax.random.split(jax.random.key(0), 2))
    expected = gaussian.degrade(hq.reshape(6, 24, 36, 3), 4, 1.5).reshape(2, 3, 6, 9, 3)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_clips_draw_by_themselves_and_frames_together(play):
    hq = np.broadcast_to(clips(1, 1, 64, 72), (2, 3, 64, 72, 3))
    keys = jax.random.split(jax.random.key(1), 2)
    loud = TapeSettings()
    found = np.asarray(play(hq, 2, loud, keys))
    assert found.shape == (2, 3, 32, 36, 3) and found.min() >= 0 and found.max() <= 1
    assert np.abs(found[0] - found[1]).mean() > 0.01
    np.testing.assert_array_equal(play(hq, 2, loud, keys[::-1])[1], found[0])


def test_levels_go_evenly_from_the_first_to_others():
    parts = np.full((3, 2, 2, 3), 0.25, np.float32)
    settings = dataclasses.replace(QUIET, gain=(0.5, 1.5), saturation=(0.0, 2.0), drift=1.0)
    u = np.array([[0.0, 1.0], [0.5, 0.5], [0.0, 1.0], [0.5, 0.5]], np.float32)
    found = tape.change_levels(parts, u, settings)[:, 0, 0]
    np.testing.assert_allclose(found[:, 0], 0.25 * np.array([0.5, 1.0, 1.5]), rtol=1e-5)
    np.testing.assert_allclose(found[:, 1], 0.25 * np.array([0.0, 1.0, 2.0]), atol=1e-6)
    turned = dataclasses.replace(QUIET, hue=(90.0, 90.0))
    blue, red = np.moveaxis(tape.change_levels(parts, u, turned)[0, 0, 0, 1:], -1, 0)
    assert (float(blue), float(red)) == pytest.approx((-0.25, 0.25), abs=1e-6)


def test_a_sine_at_the_bands_edge_loses_three_decibels():
    frequency = 2.7  # MHz
    x = np.sin(2 * np.pi * frequency / 13.5 * np.arange(200)).astype(np.float32)
    blurred = tape.low_pass(x.reshape(1, 1, 200, 1), tape.width_of(jnp.float32(frequency)))
    inside = np.ravel(blurred)[30:170]
    assert np.sqrt(np.mean(inside**2) / np.mean(x[30:170] ** 2)) == pytest.approx(
        np.sqrt(0.5), rel=0.01
    )


def test_chroma_is_late_and_lines_shift_to_the_right():
    x = np.zeros((1, 2, 30, 1), np.float32)
    x[:, :, 10] = 1
    late = np.asarray(tape.low_pass(x, jnp.float32(0.8), 3.0))
    assert late[0, 0].argmax() == 13
    moved = np.asarray(tape.shift_lines(x, np.array([[2.5, -4.0]], np.float32)))
    np.testing.assert_allclose(moved[0, 0, 12:14, 0], 0.5)
    assert moved[0, 1].argmax() == 6


def test_dots_turn_from_line_to_line_and_from_frame_to_frame():
    parts = np.zeros((2, 4, 40, 3), np.float32)
    parts[..., 20:, 1] = 0.4
    mix = jax.jit(tape.mix)
    dots = np.asarray(mix(parts, jnp.float32(0.5)))[..., 0]
    assert np.abs(dots[0, 0, 16:24]).max() > 0.02
    np.testing.assert_allclose(dots[0, 1], -dots[0, 0], atol=1e-5)
    np.testing.assert_allclose(dots[1, 0], -dots[0, 0], atol=1e-5)
    stripes = np.zeros((1, 2, 40, 3), np.float32)
    stripes[..., 0] = np.sin(2 * np.pi * tape.CARRIER * np.arange(40))
    rainbow = np.asarray(mix(stripes, jnp.float32(0.5)))[..., 1:]
    assert np.abs(rainbow[..., 10:30, :]).max() > 0.1


def test_noise_has_its_strength_whatever_the_band_and_the_generations(play):
    hq = np.full((1, 4, 64, 96, 3), 0.5, np.float32)
    keys = jax.random.split(jax.random.key(2), 1)
    settings = dataclasses.replace(
        QUIET, noise=(8.0, 8.0), luma_band=(2.0, 2.0), generations=(3, 3)
    )
    gray = np.asarray(play(hq, 1, settings, keys))[0] @ tape.TO_PARTS[0]
    assert gray.std() == pytest.approx(8 / 255 * np.sqrt(3), rel=0.1)


def test_dropouts_fade_heads_switch_and_fields_are_made_of_each_other():
    luma = np.zeros((5, 9, 40, 1), np.float32)
    drop = jax.jit(tape.drop)
    lost = np.asarray(drop(luma, jax.random.key(0), 1.0))
    lines = lost.max(axis=(2, 3))
    assert set((lines > 0).sum(axis=1)) <= {1, 2, 3} and lost.max() > 0.7
    assert not np.asarray(drop(luma, jax.random.key(0), 0.0)).any()
    settings = dataclasses.replace(QUIET, switch_prob=1.0)
    x = np.random.default_rng(3).random((2, 30, 20, 3)).astype(np.float32)
    switched = np.asarray(
        jax.jit(tape.switch_heads, static_argnums=2)(x, jax.random.key(1), settings)
    )
    same = np.isclose(switched, x, atol=1e-6).all(axis=(0, 2, 3))
    assert 1 <= (~same).sum() <= tape.MAX_SWITCH and same[: same.argmin()].all()
    kept = np.asarray(jax.jit(tape.keep_one_field)(x))
    np.testing.assert_array_equal(kept[0, ::2], x[0, ::2])
    np.testing.assert_array_equal(kept[1, 1::2], x[1, 1::2])
    np.testing.assert_allclose(kept[0, 1], (x[0, 0] + x[0, 2]) / 2, rtol=1e-6)


def test_jitter_is_as_strong_as_said_and_follows_the_line_above():
    walk = np.asarray(tape.jitter(jax.random.key(4), (20, 300), 0.7))
    assert walk.std() == pytest.approx(0.7, rel=0.1)
    assert np.corrcoef(walk[:, 1:].ravel(), walk[:, :-1].ravel())[0, 1] > 0.8


def test_settings_are_read_and_checked():
    assert degradations.read_settings({'name': 'tape', 'jitter': 0.5}).jitter == 0.5
    for key, value, message in (
        ('noise', (3.0, 1.0), 'lowest, highest'),
        ('dropouts', 1.5, 'probability'),
        ('sigma', -1.0, 'must not be negative'),
        ('luma_band', (0.1, 1.0), 'at least 0.3'),
    ):
        with pytest.raises(InputError, match=message):
            degradations.read_settings({'name': 'tape', key: value})
