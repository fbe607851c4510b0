"""Structural similarity over several scales, as a loss."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from sr_jax.losses.blur import gaussian_blur

TAPS, SIGMA = 11, 1.5
C1, C2 = 0.01**2, 0.03**2
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of the scales, the full size first


def criterion(
    prediction: Float[Array, 'n h w c'], target: Float[Array, 'n h w c']
) -> Float[Array, '']:
    """1 - MS-SSIM, the mean over images and channels, of images in [0, 1]; in float32.

    Wang, Simoncelli, Bovik, Multiscale structural similarity for image quality assessment, 2003,
    equation 7, with its five scales and weights. Crops whose half sizes would be smaller than the
    window of 11 pixels have fewer scales, whose weights are divided by their sum. A contrast and
    structure below 0 counts as 1e-6, of which every power is a number.

    Raises:
      ValueError: the shapes differ, or a side is smaller than the window.
    """
    if prediction.shape != target.shape:
        raise ValueError(f'{prediction.shape} cannot be compared with {target.shape}')
    x, y = prediction.astype(jnp.float32), target.astype(jnp.float32)
    scales = count_scales(min(x.shape[1:3]))
    weights = [weight / sum(WEIGHTS[:scales]) for weight in WEIGHTS[:scales]]
    product = jnp.ones((x.shape[0], x.shape[3]), jnp.float32)
    for i, weight in enumerate(weights):
        luminance, structure = _compare(x, y)
        found = luminance * structure if i == scales - 1 else structure
        product *= jnp.maximum(found.mean(axis=(1, 2)), 1e-6) ** weight
        x, y = _halve(x), _halve(y)
    return 1 - jnp.mean(product)


def count_scales(side: int) -> int:
    """How many scales an image of such a side has, at most five.

    Raises:
      ValueError: not even one.
    """
    if side < TAPS:
        raise ValueError(f'MS-SSIM needs at least {TAPS} pixels a side, not {side}')
    scales = 1
    while scales < len(WEIGHTS) and side // 2**scales >= TAPS:
        scales += 1
    return scales


def _compare(x: Array, y: Array) -> tuple[Array, Array]:
    """Maps of luminance, and of contrast and structure."""
    mean_x, mean_y = gaussian_blur(x, TAPS, SIGMA), gaussian_blur(y, TAPS, SIGMA)
    variance_x = gaussian_blur(x * x, TAPS, SIGMA) - mean_x**2
    variance_y = gaussian_blur(y * y, TAPS, SIGMA) - mean_y**2
    covariance = gaussian_blur(x * y, TAPS, SIGMA) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + C1) / (mean_x**2 + mean_y**2 + C1)
    return luminance, (2 * covariance + C2) / (variance_x + variance_y + C2)


def _halve(x: Array) -> Array:
    """Means of squares of two by two pixels; an odd row or column at the end is left out."""
    window = (1, 2, 2, 1)
    return jax.lax.reduce_window(x, 0.0, jax.lax.add, window, window, 'VALID') / 4
