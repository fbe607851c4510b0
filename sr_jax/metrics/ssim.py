"""Structural similarity."""

import numpy as np
from jaxtyping import Float, Num

from sr_jax.errors import InputError

_WIDTH, _SIGMA = 11, 1.5
_K1, _K2 = 0.01, 0.03


def ssim(
    image: Num[np.ndarray, 'h w c'], reference: Num[np.ndarray, '...'], peak: int | float
) -> float:
    """Returns the mean structural similarity; 1 for equal images.

    An 11x11 Gaussian window of sigma 1.5 where it lies wholly inside the image, constants 0.01
    and 0.03, biased variances, each channel by itself, in float64 (Wang et al., Image quality
    assessment: from error visibility to structural similarity, 2004, equation 13; BasicSR takes
    the same choices).

    Args:
      image: an image.
      reference: what it should be.
      peak: the largest value that a pixel can have, 255 or 1.

    Raises:
      ValueError: the shapes differ.
      InputError: it is no image of any channels, or a side is shorter than the window.
    """
    if image.shape != reference.shape:
        raise ValueError(f'images of different shapes: {image.shape} and {reference.shape}')
    if len(image.shape) != 3:
        raise InputError(
            f'an array of shape {tuple(image.shape)} is no image [height, width, channels]: '
            'measure images one at a time'
        )
    if min(image.shape[:2]) < _WIDTH:
        height, width = image.shape[:2]
        raise InputError(
            f'SSIM needs at least {_WIDTH}x{_WIDTH} pixels after cropping, there are '
            f'{width}x{height}; take larger images or a protocol that crops less'
        )
    x, y = np.asarray(image, np.float64), np.asarray(reference, np.float64)
    c1, c2 = (_K1 * peak) ** 2, (_K2 * peak) ** 2
    mean_x, mean_y = _blur(x), _blur(y)
    variance_x = _blur(x * x) - mean_x**2
    variance_y = _blur(y * y) - mean_y**2
    covariance = _blur(x * y) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    structure = (2 * covariance + c2) / (variance_x + variance_y + c2)
    return float(np.mean(luminance * structure))


def _blur(x: Float[np.ndarray, 'h w c']) -> Float[np.ndarray, 'h_valid w_valid c']:
    """Averages under the Gaussian window, first down and then across."""
    offsets = np.arange(_WIDTH) - _WIDTH // 2
    weights = np.exp(-(offsets**2) / (2 * _SIGMA**2))
    weights /= weights.sum()
    height, width = x.shape[0] - _WIDTH + 1, x.shape[1] - _WIDTH + 1
    x = sum(weight * x[k : k + height] for k, weight in enumerate(weights))
    return sum(weight * x[:, k : k + width] for k, weight in enumerate(weights))
