"""The degradation of TecoGAN and other recurrent networks: a Gaussian blur, then every n-th pixel.

Chu et al. 2020 (arXiv:1811.09393), section 4: a standard deviation of 1.5 for a scale of 4, and the
first pixel is kept (thunil/TecoGAN, `lib/dataloader.py`).
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

REACH = 3  # standard deviations, to either side


@functools.partial(jax.jit, static_argnames=('scale', 'sigma'))
def degrade(hq: Float[Array, 'n h w 3'], scale: int, sigma: float) -> Float[Array, 'n h2 w2 3']:
    """Returns the small images of true ones, ceil(side / scale) pixels a side, in [0, 1].

    Args:
      hq: images in [0, 1]; beyond their edges the outer pixels repeat.
      scale: of the network.
      sigma: standard deviation of the blur, in pixels of `hq`.
    """
    reach = int(REACH * sigma)
    taps = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
    taps /= taps.sum()
    for axis in (1, 2):
        sides = [(0, 0)] * 4
        sides[axis] = (reach, reach)
        padded = jnp.moveaxis(jnp.pad(hq, sides, mode='edge'), axis, 0)
        count = -(-hq.shape[axis] // scale)
        end = (count - 1) * scale + 1
        parts = [tap * padded[i : i + end : scale] for i, tap in enumerate(taps.tolist())]
        hq = jnp.moveaxis(jnp.stack(parts).sum(0), 0, axis)
    return hq
