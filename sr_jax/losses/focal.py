"""The focal loss: Lin et al. 2017 (arXiv:1708.02002), equation 5."""

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

ALPHA, GAMMA = 0.25, 2.0  # as published


def focal_loss(
    logits: Float[Array, '*n'], targets: Float[Array, '*n']
) -> Float[Array, '*n']:
    """Returns the cross-entropy of targets 0 or 1, in nats, little where they are guessed already.

    A factor (1 - p)^2, p the probability of the truth, and 0.25 for targets 1, 0.75 for 0.
    """
    chance = jax.nn.sigmoid(logits)
    missed = jnp.where(targets > 0, 1 - chance, chance)
    weight = jnp.where(targets > 0, ALPHA, 1 - ALPHA)
    return weight * missed**GAMMA * optax.sigmoid_binary_cross_entropy(logits, targets)
