import numpy as np
import pytest

from sr_jax.film.tape.head_switching import count_lines, crop_lines


def switch(frames, lines, seed, sigma):
    """Displaces lines at the bottom, further down by more, and adds noise to them."""
    rng = np.random.default_rng(seed)
    frames = frames.copy()
    for frame in frames:
        for line in range(lines):
            row = len(frame) - lines + line
            frame[row] = np.roll(frame[row], 7 + line // 2, axis=0)
        frame[len(frame) - lines :] += rng.normal(0, sigma, frame[len(frame) - lines :].shape)
    return frames


@pytest.mark.parametrize(('lines', 'sigma', 'counted'), [(4, 0, 4), (4, 0.1, 4), (0, 0, 0)])
def test_lines_after_the_switch_are_counted(film, noise, lines, sigma, counted):
    tall = np.concatenate([film[:, ::-1], film], axis=1)[:3, -130:]
    assert count_lines(noise(switch(tall, lines, 1, sigma), 0.01)) == counted


def test_an_odd_number_is_rounded_up(film):
    tall = np.concatenate([film[:, ::-1], film], axis=1)[:2, -130:]
    assert count_lines(switch(tall, 5, 2, 0)) == 6


def test_a_black_bar_is_none(film):
    frames = film[:3].copy()
    frames[:, -4:] = 0
    assert count_lines(frames) == 0


def test_small_frames_are_left(film):
    assert count_lines(film[:2, :60]) == 0
    assert count_lines(film[:2, :, :90]) == 0
    assert crop_lines(film, 4).shape == (9, 92, 140, 3)
    assert crop_lines(film, 0).shape == film.shape
