import numpy as np
import pytest

from sr_jax.film.tape.chroma_shift import find_shift, move_chroma

INNER = slice(None), slice(4, -4), slice(8, -8)


@pytest.mark.parametrize('shift', [(1.2, 3.4), (0.0, -4.7)])
def test_a_shift_is_found_and_undone(film, noise, distance, shift):
    true = film[:2]
    tape = noise(move_chroma(true, shift), 0.01)
    found = find_shift(tape)
    np.testing.assert_allclose(found, shift, atol=0.45)
    mended = move_chroma(tape, (-found[0], -found[1]))
    before = distance(tape[INNER][..., 1:], true[INNER][..., 1:])
    assert distance(mended[INNER][..., 1:], true[INNER][..., 1:]) > before + 6
    np.testing.assert_array_equal(mended[..., 0], tape[..., 0])


def test_what_is_right_or_tells_nothing_stays(film, noise):
    assert find_shift(film[:2]) == (0, 0)
    assert find_shift(film[:2, :20]) == (0, 0)
    gray = film[:2] * np.float32([1, 0, 0])
    assert find_shift(noise(gray, 0.02)) == (0, 0)
