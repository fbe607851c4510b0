"""The tests of latents see noise as noise, and each kind of structure as what it is."""

import numpy as np
import pytest

from sr_jax.metrics.gaussianity import gaussianity

SHAPE = (40, 30, 6)
RNG = np.random.default_rng(0)


def noise():
    return np.random.default_rng(1).standard_normal(SHAPE)


def test_noise_is_noise():
    found = gaussianity(noise())
    assert found.numbers == 7200
    assert max(found.deviates.values()) < 4
    assert abs(found.channel_correlation) < 0.05
    assert max(map(abs, found.autocorrelation.values())) < 0.05


@pytest.mark.parametrize(
    ('change', 'statistic'),
    [
        (lambda x: x + 0.2, 'mean'),
        (lambda x: 1.2 * x, 'deviation'),
        (lambda x: (np.square(x) - 1) / np.sqrt(2), 'skewness'),
        (lambda x: np.sign(x), 'kurtosis'),
        (lambda x: (x + np.roll(x, 1, axis=0)) / np.sqrt(2), 'autocorrelation'),
    ],
)
def test_each_departure_shows_in_its_statistic(change, statistic):
    assert gaussianity(change(noise())).deviates[statistic] > 8
    assert gaussianity(noise()).deviates[statistic] < 4


def test_the_numbers():
    x = noise()
    smooth = gaussianity((x + np.roll(x, 1, axis=1)) / np.sqrt(2))
    assert smooth.autocorrelation[0, 1] == pytest.approx(0.5, abs=0.02)
    assert smooth.autocorrelation[1, 0] == pytest.approx(0, abs=0.03)
    square = gaussianity(np.square(x))
    assert square.skewness == pytest.approx(8**0.5, rel=0.1)
    assert square.kurtosis == pytest.approx(12, rel=0.25)
    shared = x + 2 * x[..., :1]
    shared[..., 0] = x[..., 1]
    assert gaussianity(shared[..., 2:]).channel_correlation == pytest.approx(0.8, abs=0.02)


def test_small_maps():
    assert set(gaussianity(RNG.standard_normal((2, 1, 3))).autocorrelation) == {(1, 0)}
    assert gaussianity(RNG.standard_normal((2, 2, 1))).channel_correlation == 0
    with pytest.raises(ValueError, match='1 x 1 pixels'):
        gaussianity(np.zeros((1, 1, 4)))
