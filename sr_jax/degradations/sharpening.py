"""Sharpened targets: an unsharp mask where it matters."""

import functools

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

_SIDE, _WEIGHT, _THRESHOLD = 51, 0.5, 10.0
_SIGMA = 0.3 * ((_SIDE - 1) / 2 - 1) + 0.8  # OpenCV's for a kernel of that side: 8 pixels


def sharpen(images: Float[Array, 'n h w 3']) -> Float[Array, 'n h w 3']:
    """Sharpens images in [0, 1] where they differ from their blur by more than 10 of 255 steps.

    Real-ESRGAN's targets (Wang et al. 2021, arXiv:2107.10833, section 3.5): x + (x - blur) / 2,
    clipped, with a blurred mask; the blur is a Gaussian of 51 x 51 pixels with a standard deviation
    of 8, edges in mirror image. Both blurs are products with `_gaussian_matrix`.
    """
    residual = images - _blur(images)
    mask = (jnp.abs(residual) * 255 > _THRESHOLD).astype(images.dtype)
    soft = _blur(mask)
    sharp = jnp.clip(images + _WEIGHT * residual, 0.0, 1.0)
    return soft * sharp + (1 - soft) * images


def _blur(images: Float[Array, 'n h w 3']) -> Float[Array, 'n h w 3']:
    height, width = images.shape[1:3]
    down, across = _gaussian_matrix(height), _gaussian_matrix(width)
    images = jnp.einsum('ih,nhwc->niwc', down, images, precision='highest')
    return jnp.einsum('jw,niwc->nijc', across, images, precision='highest')


@functools.lru_cache(maxsize=64)
def _gaussian_matrix(side: int) -> Float[np.ndarray, 'side side']:
    """Returns the weights that blur a line, in float32 and for reading only."""
    reach = _SIDE // 2
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / _SIGMA) ** 2)
    weights /= weights.sum()
    places = np.abs(np.arange(side)[:, None] + np.arange(-reach, reach + 1))
    period = max(2 * (side - 1), 1)
    places = np.minimum(places % period, -places % period) % side
    matrix = np.zeros((side, side))
    np.add.at(matrix, (np.arange(side)[:, None], places), weights)
    matrix = matrix.astype(np.float32)
    matrix.flags.writeable = False
    return matrix
