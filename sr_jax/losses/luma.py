"""The difference of two images' lightness."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from sr_jax.losses import pixel
from sr_jax.losses.color_spaces import luma


def criterion(
    prediction: Float[Array, 'n h w 3'], target: Float[Array, 'n h w 3']
) -> Float[Array, '']:
    """The mean absolute difference of CIE's L* over 100, of sRGB in [0, 1], which is clipped.

    traiNNer-redux has it as LumaLoss, with l1.

    Raises:
      ValueError: the shapes differ.
    """
    return pixel.l1(*(luma(jnp.clip(x.astype(jnp.float32), 0, 1)) for x in (prediction, target)))
