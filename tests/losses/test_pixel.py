import jax
import jax.numpy as jnp
import numpy as np

from sr_jax.losses import pixel


def test_l2_is_the_mean_square_in_float32_with_its_gradient():
    x, y = jnp.array([[1.0, 2.0], [0.0, -1.0]]), jnp.array([[0.0, 2.0], [2.0, -1.0]])
    np.testing.assert_allclose(pixel.l2(x, y), 5 / 4)
    np.testing.assert_allclose(jax.grad(pixel.l2)(x, y), (x - y) / 2)
    assert pixel.l2(x.astype(jnp.bfloat16), y).dtype == jnp.float32
