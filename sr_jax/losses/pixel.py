"""Losses between the pixels of two pictures."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def l2(prediction: Float[Array, '*shape'], target: Float[Array, '*shape']) -> Float[Array, '']:
    """Returns the mean squared difference over all elements, in float32."""
    return jnp.mean(jnp.square(prediction.astype(jnp.float32) - target.astype(jnp.float32)))
