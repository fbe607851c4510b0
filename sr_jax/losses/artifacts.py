"""What looks like an artifact of training against a discriminator costs, real detail does not."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from sr_jax.losses import pixel

WINDOW = 7


def criterion(
    prediction: Float[Array, 'n h w c'], target: Float[Array, 'n h w c']
) -> Float[Array, '']:
    """The mean absolute difference, weighed by a map of where it varies from pixel to pixel.

    Liang, Zeng, Zhang, Details or Artifacts (LDL), CVPR 2022 (arXiv:2203.09195), equations 3 to 5:
    of the absolute residual, summed over the channels, the variance in windows of 7 x 7 pixels
    (reflected at the edges) times the fifth root of its variance in the image. The map has no
    gradient here, in the published code it has; and there it is 0 where the averaged network comes
    closer to the target than the trained one does not (equation 6), of which a criterion knows not.

    Raises:
      ValueError: the shapes differ, or a side is smaller than 4 pixels.
    """
    return pixel.l1(*(artifact_map(prediction, target) * x for x in (prediction, target)))


def artifact_map(
    prediction: Float[Array, 'n h w c'], target: Float[Array, 'n h w c']
) -> Float[Array, 'n h w 1']:
    """The weights of the pixels, at least 0; without gradient."""
    difference = prediction.astype(jnp.float32) - target.astype(jnp.float32)
    residual = jax.lax.stop_gradient(jnp.abs(difference).sum(axis=-1, keepdims=True))
    whole = residual.var(axis=(1, 2, 3), keepdims=True, ddof=1) ** 0.2
    return whole * _local_variance(residual)


def _local_variance(x: Array) -> Array:
    """The variance in a window around each pixel, with n - 1."""
    around = WINDOW // 2
    padded = jnp.pad(x, ((0, 0), (around, around), (around, around), (0, 0)), mode='reflect')
    height, width = x.shape[1:3]
    shifted = jnp.stack(
        [
            padded[:, i : i + height, j : j + width]
            for i in range(WINDOW)
            for j in range(WINDOW)
        ]
    )
    return shifted.var(axis=0, ddof=1)
