"""Penalties on the gradient of a discriminator, in its images.

A discriminator is a function of images alone, with its parameters and state bound into it, and
it rates each image by itself: what one image's logits owe to the others of the batch (by
batch normalisation) is counted to those. A map of logits counts as its sum. Images go in as
float32, or float64 if they are that; the penalties are of that type, without a weight, and have
gradients of their own in what is bound.
"""

from collections.abc import Callable
from typing import TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Discriminator: TypeAlias = Callable[[Float[Array, 'n h w c']], Float[Array, 'n ...']]


def r1(discriminator: Discriminator, real: Float[Array, 'n h w c']) -> Float[Array, '']:
    """Returns the mean of |grad D(x)|^2 over real images x.

    Mescheder, Geiger, Nowozin 2018 (arXiv:1801.04406), R_1, where its weight is gamma / 2
    (10 / 2 there). When it is taken every k-th step only, the weight is k times that.
    """
    return jnp.mean(_squared_norms(discriminator, real))


def gradient_penalty(
    discriminator: Discriminator, images: Float[Array, 'n h w c']
) -> Float[Array, '']:
    """Returns the mean of (|grad D(x)| - 1)^2 over the given images x.

    Gulrajani et al. 2017 (arXiv:1704.00028), equation 3, with the weight 10 there; the paper takes
    it on images from `interpolate`, DL-Art-School on the real ones. Where the gradient vanishes its
    norm counts with gradient 0.
    """
    squared = _squared_norms(discriminator, images)
    flat = squared == 0
    norms = jnp.where(flat, 0, jnp.sqrt(jnp.where(flat, 1, squared)))
    return jnp.mean(jnp.square(norms - 1))


def interpolate(
    real: Float[Array, 'n h w c'], fake: Float[Array, 'n h w c'], key: Array
) -> Float[Array, 'n h w c']:
    """Returns a point of the line from each real image to the fake one beside it, in float32.

    Every point of a line alike, one draw an image, as WGAN-GP penalises (arXiv:1704.00028,
    algorithm 1). No gradient goes back to the images.

    Raises:
      ValueError: the shapes differ.
    """
    if real.shape != fake.shape:
        raise ValueError(f'real images are {real.shape} and fake ones {fake.shape}')
    real, fake = jax.lax.stop_gradient((real.astype(jnp.float32), fake.astype(jnp.float32)))
    share = jax.random.uniform(key, (real.shape[0], 1, 1, 1))
    return share * real + (1 - share) * fake


def _squared_norms(
    discriminator: Discriminator, images: Float[Array, 'n h w c']
) -> Float[Array, ' n']:
    """Returns the squared length of the gradient of each image's logits in that image."""

    wide = jnp.promote_types(images.dtype, jnp.float32)

    def total(x: Array) -> Array:
        return jnp.sum(discriminator(x).astype(wide))

    gradients = jax.grad(total)(images.astype(wide))
    return jnp.sum(jnp.square(gradients), axis=(1, 2, 3))
