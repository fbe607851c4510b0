import jax.numpy as jnp
import numpy as np

from sr_jax.degradations import bicubic
from sr_jax.images.resize import imresize


def test_small_images_are_bicubic_and_rounded():
    hq = jnp.asarray(np.random.default_rng(0).random((2, 16, 24, 3), np.float32))
    exact = bicubic.degrade(hq, 4, rounded=False)
    np.testing.assert_allclose(exact, jnp.clip(imresize(hq, 0.25), 0, 1), atol=1e-6)
    rounded = np.asarray(bicubic.degrade(hq, 4, rounded=True))
    np.testing.assert_allclose(255 * rounded, np.round(255 * rounded), atol=1e-4)
    np.testing.assert_allclose(rounded, exact, atol=0.5 / 255 + 1e-6)
