"""Images padded to sizes that networks take."""

import numpy as np
from jaxtyping import Float

MULTIPLE = 64  # images are padded to it, so that those of similar size share a compilation


def mirror_pad(image: Float[np.ndarray, 'h w 3']) -> Float[np.ndarray, 'h2 w2 3']:
    """Mirrors an image beyond its lower and right edge, to a multiple of 64 pixels."""
    height, width = image.shape[:2]
    padding = ((0, -height % MULTIPLE), (0, -width % MULTIPLE), (0, 0))
    return np.pad(image, padding, mode='symmetric')
