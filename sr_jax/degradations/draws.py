"""Uniform numbers in [0, 1) turned into choices.

A degradation draws all the numbers that decide about one image at once: a call of `jax.random`
for each of them would take longer to compile than everything else.
"""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int


def between(u: Float[Array, '*n'], low: float | Array, high: float | Array) -> Float[Array, '*n']:
    """Returns a number between two, each alike."""
    return low + u * (high - low)


def integer(u: Float[Array, '*n'], low: int, high: int) -> Int[Array, '*n']:
    """Returns a whole number from `low` to `high`, both included, each alike."""
    return low + jnp.minimum(jnp.floor(u * (high - low + 1)).astype(jnp.int32), high - low)


def choice(u: Float[Array, ''], probabilities: Sequence[float]) -> Int[Array, '']:
    """Returns which of several things is chosen, by their probabilities."""
    bounds = np.cumsum(probabilities)
    bounds = (bounds / bounds[-1])[:-1].astype(np.float32)
    return (u >= bounds).sum().astype(jnp.int32)
