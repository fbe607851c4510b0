import numpy as np
import pytest

from sr_jax.film.tone import PQ, from_tone, to_tone

# Of SMPTE ST 2084: signals and their light in cd/m^2, as ITU-R BT.2408 lists them.
LIGHT = {0.58: 203, 0.508: 100, 0.752: 1000, 1.0: 10000}
CODES = np.float32((np.arange(1024) - 64) / 876)  # all of 10 bits, in limited range


def test_every_code_value_comes_back():
    tone = to_tone(CODES, PQ)
    assert np.abs(np.asarray(from_tone(tone, PQ)) - CODES).max() * 876 < 0.1
    assert (np.diff(tone) > 0).all()


@pytest.mark.parametrize('signal', LIGHT)
def test_it_is_the_tone_that_is_stated(signal):
    light, most = LIGHT[signal] / 203, 10000 / 203
    expected = (light * (1 + light / most**2) / (1 + light)) ** (1 / 2.4)
    assert to_tone(np.float32(signal), PQ) == pytest.approx(expected, abs=0.002)


def test_other_curves_stay():
    for transfer in ('bt709', 'arib-std-b67'):
        np.testing.assert_array_equal(to_tone(CODES, transfer), CODES)
        np.testing.assert_array_equal(from_tone(CODES, transfer), CODES)
