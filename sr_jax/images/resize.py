"""Resizing of images on the device, as MATLAB's `imresize` and PyTorch's nearest do it.

It holds no parameters and reads no files, and both the images that are made worse for training
and the networks need it: it stands by itself, below all of them.
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Num
from PIL import Image

_ROUNDING = 1e-9  # a product this near a whole number is that number


@functools.partial(jax.jit, static_argnames=('scale', 'antialias'))
def imresize(
    x: Float[Array, '*batch h w c'], scale: float, antialias: bool = True
) -> Float[Array, '*batch h2 w2 c']:
    """Resizes images as MATLAB's `imresize(x, scale, 'bicubic')`, in float32.

    First down the columns, then along the rows, each one product with `cubic_matrix`: sides become
    ceil(side * scale), edges repeat in mirror image. Nothing is clipped or rounded: values can
    leave [0, 1], and MATLAB's images on disk are rounded to 8 bits. It is linear, so it has its
    transpose for a gradient. `jax.image.resize` differs at the edges.

    Args:
      x: images, any real type.
      scale: factor for both sides, by which the kernel is placed too where the new side is not
        exactly side * scale.
      antialias: widen the kernel when shrinking.

    Raises:
      ValueError: `scale` is not positive and finite.
    """
    height, width = x.shape[-3:-1]
    down = cubic_matrix(height, scale, antialias).astype(np.float32)
    across = cubic_matrix(width, scale, antialias).astype(np.float32)
    x = x.astype(jnp.float32)
    exact = jax.lax.Precision.HIGHEST
    x = jnp.einsum('ih,...hwc->...iwc', down, x, precision=exact)
    return jnp.einsum('jw,...iwc->...ijc', across, x, precision=exact)


def resized_side(side: int, scale: float) -> int:
    """Returns ceil(side * scale), where a product that only rounding lifts above a whole number
    counts as that number: 100 * 1.1 is 110, as in exact arithmetic (in floats it is 111).
    """
    return max(math.ceil(side * scale - _ROUNDING), 1)


@functools.lru_cache(maxsize=64)
def cubic_matrix(side: int, scale: float, antialias: bool = True) -> Float[np.ndarray, 'out side']:
    """Returns the weights, in float64 and for reading only, that resize a line of `side` pixels.

    With pixels counted from 0, output i lies at u = (i + 1/2) / scale - 1/2. Input j weighs
    k(u - j), k the cubic kernel of Keys, Cubic convolution interpolation for digital image
    processing, 1981, with a = -1/2; when shrinking with `antialias`, k(scale (u - j)). The weights
    of an output sum to 1. A pixel beyond the edge is the one that mirrors it, the edge repeated,
    as often as needed. BasicSR's `imresize` is the same but for its use of float32 and for scales
    at which it drops a tap that is not always 0.

    Raises:
      ValueError: `scale` is not positive and finite.
    """
    if not 0 < scale < math.inf:
        raise ValueError(f'the scale must be positive and finite, not {scale}')
    squeeze = min(scale, 1.0) if antialias else 1.0
    count = resized_side(side, scale)
    place = (np.arange(count) + 0.5) / scale - 0.5
    reach = math.ceil(2 / squeeze) + 1
    taps = np.floor(place).astype(int)[:, None] + np.arange(-reach, reach + 1)
    weights = cubic_kernel(squeeze * (place[:, None] - taps))
    weights /= weights.sum(axis=1, keepdims=True)
    taps = taps % (2 * side)
    taps = np.minimum(taps, 2 * side - 1 - taps)
    matrix = np.zeros((count, side))
    np.add.at(matrix, (np.arange(count)[:, None], taps), weights)
    matrix.flags.writeable = False
    return matrix


def resize_nearest(
    x: Float[Array, '*batch h w c'], height: int, width: int
) -> Float[Array, '*batch height width c']:
    """Resizes images by taking, for output pixel i, input pixel floor(i * old / new).

    As PyTorch's `interpolate(mode='nearest')`; `jax.image.resize` takes the one nearest to the
    pixel's centre.

    Raises:
      ValueError: a new side is not positive.
    """
    if min(height, width) < 1:
        raise ValueError(f'there are no images of {width}x{height} pixels')
    rows = np.arange(height) * x.shape[-3] // height
    columns = np.arange(width) * x.shape[-2] // width
    return x[..., rows, :, :][..., columns, :]


def cubic_kernel(t: Float[np.ndarray, '*shape']) -> Float[np.ndarray, '*shape']:
    """Returns Keys' kernel of cubic convolution, a = -1/2, at distances in samples."""
    t = np.abs(t)
    near = 1.5 * t**3 - 2.5 * t**2 + 1
    far = -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2
    return np.where(t <= 1, near, np.where(t <= 2, far, 0))


def resize_lanczos(
    pixels: Num[np.ndarray, 'h w c'], size: tuple[int, int]
) -> Num[np.ndarray, 'h2 w2 c']:
    """Resizes an image to (height, width) by Lanczos' filter of three lobes, in its precision.

    The filter is widened when shrinking (Pillow's LANCZOS); values are clipped to their range.
    """
    if pixels.shape[:2] == size:
        return pixels
    result = np.empty((*size, pixels.shape[-1]), pixels.dtype)
    for channel in range(pixels.shape[-1]):
        plane = lanczos(pixels[..., channel].astype(np.float32), size)
        result[..., channel] = to_levels(plane, pixels.dtype)
    return result


def lanczos(plane: Float[np.ndarray, 'h w'], size: tuple[int, int]) -> Float[np.ndarray, 'h2 w2']:
    """Resizes one float32 channel by the filter of `resize_lanczos`; nothing is clipped."""
    image = Image.fromarray(plane)
    return np.asarray(image.resize(size[::-1], Image.Resampling.LANCZOS))


def to_levels(plane: Float[np.ndarray, '*shape'], dtype: np.dtype) -> Num[np.ndarray, '*shape']:
    """Clips to a type's range, [0, 1] of float32, and rounds to integers where it is of these."""
    if dtype == np.float32:
        return np.clip(plane, 0, 1)
    return np.clip(np.rint(plane), 0, np.iinfo(dtype).max).astype(dtype)
