"""Images averaged under a Gaussian window, as losses look at them."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


def gaussian_blur(
    x: Float[Array, 'n h w c'], taps: int, sigma: float
) -> Float[Array, 'n h2 w2 c']:
    """Averages under a window of taps x taps pixels, where it lies wholly inside the image.

    Sums of shifted images: on CPUs, convolutions of single channels are slow.
    """
    offsets = np.arange(taps) - taps // 2
    weights = np.exp(-(offsets**2) / (2 * sigma**2))
    weights /= weights.sum()
    height, width = x.shape[1] - taps + 1, x.shape[2] - taps + 1
    x = sum((float(w) * x[:, k : k + height] for k, w in enumerate(weights)), jnp.zeros(()))
    return sum(
        (float(w) * x[:, :, k : k + width] for k, w in enumerate(weights)), jnp.zeros(())
    )
