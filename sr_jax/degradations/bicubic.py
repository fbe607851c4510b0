"""The degradation of the benchmarks: MATLAB's antialiased bicubic `imresize`."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from sr_jax.images.resize import imresize


def degrade(hq: Float[Array, 'n h w 3'], scale: int, rounded: bool) -> Float[Array, 'n h2 w2 3']:
    """Returns the small images of true ones, ceil(side / scale) pixels a side, in [0, 1].

    Args:
      hq: images in [0, 1].
      scale: of the network.
      rounded: to 8 bits, as if the small images had been saved.
    """
    lq = jnp.clip(imresize(hq, 1 / scale), 0.0, 1.0)
    return jnp.round(255 * lq) / 255 if rounded else lq
