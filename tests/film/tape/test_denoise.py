import jax
import numpy as np
import pytest

from sr_jax.film.tape.denoise import denoise, measure_noise

DENOISE = jax.jit(denoise, static_argnums=2)


def test_noise_is_measured_and_averaged(film, noise, distance):
    tape = noise(film, 0.03)
    found = measure_noise(tape)
    assert found == pytest.approx((0.03, 0.03), rel=0.15)
    mended, last = DENOISE(tape, tape[0], (0.03, 0.03))
    np.testing.assert_array_equal(last, mended[-1])
    assert distance(mended[5:], film[5:]) > distance(tape[5:], film[5:]) + 5


def test_what_moves_is_left(film, distance):
    mended, _ = DENOISE(film, film[0], (0.03, 0.03))
    assert distance(mended, film) > 40


def test_a_clean_film_has_none(film):
    assert measure_noise(film) == (0, 0)
    assert measure_noise(np.repeat(film[:1], 3, axis=0)) == (0, 0)
    assert measure_noise(film[:1]) == (0, 0)


def test_a_repeated_frame_does_not_hide_noise(film, noise):
    tape = noise(film, 0.02).repeat(2, axis=0)
    assert measure_noise(tape)[0] == pytest.approx(0.02, rel=0.15)
