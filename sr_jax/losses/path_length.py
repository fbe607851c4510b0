"""Path length regularization of StyleGAN2: steps of a style change images by equal lengths.

Karras et al. 2019 (arXiv:1912.04958), section 3.2, equation 4.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float


def path_lengths(
    synthesize: Callable[[Array], Array],
    styles: Float[Array, 'n l d'],
    noise: Float[Array, 'n h w c'],
) -> Float[Array, ' n']:
    """Returns |J^T y| for images y of noise, scaled by the root of their pixels.

    J is the Jacobian of an image in its styles; the mean over the layers' styles is taken of the
    squares, as NVlabs and rosinality do.

    Args:
      synthesize: styles -> images [n, h, w, c] on a scale of [-1, 1].
      styles: of each layer.
      noise: N(0, 1), as large as the images.
    """
    _, height, width, _ = noise.shape

    def product(styles: Array) -> Array:
        return jnp.sum(synthesize(styles).astype(noise.dtype) * noise) / math.sqrt(height * width)

    gradients = jax.grad(product)(styles)
    return jnp.sqrt(jnp.square(gradients).sum(axis=2).mean(axis=1))


def path_penalty(
    lengths: Float[Array, ' n'],
    batch_mean: Float[Array, ''],
    mean: Float[Array, ''],
    decay: float = 0.01,
    through_mean: bool = False,
) -> tuple[Float[Array, ''], Float[Array, '']]:
    """Returns the mean of (length - a)^2, and a, the moving mean after this batch.

    The gradient is that of the whole batch's penalty also where the lengths are a part of it,
    averaged over the parts.

    Args:
      lengths: of some images.
      batch_mean: of the lengths of the whole batch.
      mean: the moving mean before.
      decay: how much of this batch goes into it.
      through_mean: whether a gradient goes through the batch's part in a, as in NVlabs' programs;
        rosinality's lets none.
    """
    moved = lax.stop_gradient(mean + decay * (batch_mean - mean))
    penalty = jnp.mean(jnp.square(lengths - moved))
    if through_mean:
        aside = lax.stop_gradient(2 * decay * (batch_mean - moved))
        average = jnp.mean(lengths)
        penalty -= aside * (average - lax.stop_gradient(average))
    return penalty, moved
