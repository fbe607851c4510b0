import numpy as np
import pytest

from sr_jax.film.tape.head_switching import count_lines, crop_lines


@pytest.fixture(scope='module')
def tall(film):
    """Three frames of 220 lines, of which one twentieth is looked at."""
    return np.concatenate([film, film[:, ::-1], film[:, :28]], axis=1)[:3]


def switch(frames, lines, moved, sigma):
    """Displaces lines at the bottom, further down by more, and adds noise to them."""
    rng = np.random.default_rng(1)
    frames = frames.copy()
    for frame in frames:
        for line in range(lines):
            row = len(frame) - lines + line
            frame[row] = np.roll(frame[row], moved and moved + line // 2, axis=0)
        frame[len(frame) - lines :] += rng.normal(0, sigma, frame[len(frame) - lines :].shape)
    return frames


@pytest.mark.parametrize(
    ('lines', 'moved', 'sigma', 'counted'),
    [(8, 7, 0, 8), (8, 0, 0.4, 8), (5, -9, 0.1, 6), (0, 0, 0, 0)],
)
def test_lines_after_the_switch_are_counted(tall, noise, lines, moved, sigma, counted):
    assert count_lines(noise(switch(tall, lines, moved, sigma), 0.01)) == counted


def test_a_black_bar_is_none(film):
    frames = film[:3].copy()
    frames[:, -4:] = 0
    assert count_lines(frames) == 0


def test_small_frames_are_left(film):
    assert count_lines(film[:2, :60]) == 0
    assert count_lines(film[:2, :, :90]) == 0
    assert crop_lines(film, 4).shape == (9, 92, 140, 3)
    assert crop_lines(film, 0).shape == film.shape
