import numpy as np
import pytest

from sr_jax.film.tape.levels import correction, find_levels, stretch


def test_levels_are_found_and_undone(film, noise, distance):
    clean = film[:2] * np.float32([0.9, 1, 1])
    clean[:, 40:50, 20:32] = (0, 0, 0)
    clean[:, 40:50, 60:72] = (1, 0, 0)
    tape = noise(0.85 * clean + np.float32([0.06, 0, 0]), 0.01)
    tape[:, :3] = 0  # blanking is not the picture's black
    black, white = find_levels(tape)
    assert (black, white) == pytest.approx((0.06, 0.91), abs=0.02)
    mended = stretch(tape, *correction(black, white))
    assert distance(mended[:, 3:], clean[:, 3:]) > distance(tape[:, 3:], clean[:, 3:]) + 6
    assert correction(*find_levels(clean)) == (1, 0)


def test_a_dark_film_stays_dark():
    assert correction(0.02, 0.5) == (1, 0.02)
    assert correction(0.3, 1.0) == (1, 0)
    assert correction(0.005, 0.995) == (1, 0)
