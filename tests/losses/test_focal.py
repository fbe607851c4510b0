import numpy as np

from sr_jax.losses.focal import focal_loss


def test_it_is_the_published_formula():
    logits = np.array([-3.0, -0.2, 0.7, 5.0], np.float32)
    chance = 1 / (1 + np.exp(-logits.astype(float)))
    ones = -0.25 * (1 - chance) ** 2 * np.log(chance)
    zeros = -0.75 * chance**2 * np.log(1 - chance)
    np.testing.assert_allclose(focal_loss(logits, np.ones(4, np.float32)), ones, rtol=1e-5)
    np.testing.assert_allclose(focal_loss(logits, np.zeros(4, np.float32)), zeros, rtol=1e-4)
