import numpy as np
import pytest

from sr_jax.metrics.diversity import diversity


def test_it_is_the_deviation_of_the_noise():
    rng = np.random.default_rng(0)
    image = rng.random((40, 30, 3))
    drawn = [image + 0.02 * rng.standard_normal(image.shape) for _ in range(64)]
    assert diversity(drawn) == pytest.approx(0.02 * 255, rel=0.02)
    assert diversity([image, image]) == 0
    assert diversity([np.zeros((2, 2, 3)), np.ones((2, 2, 3))]) == pytest.approx(127.5)
