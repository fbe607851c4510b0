"""The density of independent Gaussians, a flow's prior."""

import math

import jax.numpy as jnp
from jaxtyping import Array, Float

LOG_2_PI = math.log(2 * math.pi)


def log_density(
    x: Float[Array, 'n h w c'],
    mean: Float[Array, 'n h w c'] | float = 0.0,
    log_deviation: Float[Array, 'n h w c'] | float = 0.0,
) -> Float[Array, ' n']:
    """Returns log N(x; mean, exp(log_deviation)^2) of each image, in nats.

    The sum over pixels and channels of -(2 s + ((x - m) / exp(s))^2 + log(2 pi)) / 2, with the mean
    m and the logarithm s of the standard deviation; float32.

    Args:
      x: of any shape of images.
      mean: m, of each value or one number.
      log_deviation: s, likewise.
    """
    scaled = (x - mean) * jnp.exp(-jnp.asarray(log_deviation))
    return -0.5 * (2 * log_deviation + jnp.square(scaled) + LOG_2_PI).sum((1, 2, 3))
