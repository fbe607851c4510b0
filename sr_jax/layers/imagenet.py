"""How the published networks of ImageNet take their images."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

# Of ImageNet, for RGB in [0, 1].
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)


def normalize(images: Float[Array, '*batch 3']) -> Float[Array, '*batch 3']:
    """Returns RGB in [0, 1] as float32 less ImageNet's mean, over its deviation.

    It is also the input of LPIPS: of an image in [-1, 1] that takes off (-0.030, -0.088, -0.188)
    and divides by (0.458, 0.448, 0.450), which in [0, 1] are these very numbers.
    """
    along = (None,) * (images.ndim - 1)
    return (images.astype(jnp.float32) - MEAN[along]) / DEVIATION[along]
