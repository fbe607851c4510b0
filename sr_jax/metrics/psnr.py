"""Peak signal-to-noise ratio."""

import numpy as np
from jaxtyping import Num


def psnr(
    image: Num[np.ndarray, '*shape'], reference: Num[np.ndarray, '...'], peak: int | float
) -> float:
    """Returns 10 log10(peak^2 / mse) in dB; infinite for equal images.

    The mean squared error is one mean over all pixels and channels, in float64.

    Args:
      image: an image.
      reference: what it should be.
      peak: the largest value that a pixel can have, 255 or 1.

    Raises:
      ValueError: the shapes differ.
    """
    if image.shape != reference.shape:
        raise ValueError(f'images of different shapes: {image.shape} and {reference.shape}')
    error = np.mean(np.square(np.asarray(image, np.float64) - reference))
    return float('inf') if error == 0 else float(10 * np.log10(peak**2 / error))
