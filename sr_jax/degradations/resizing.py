"""Resizing to a size that is known at run time only, as PyTorch's `interpolate` does it."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from sr_jax.degradations.canvas import Canvas

AREA, BILINEAR, BICUBIC = MODES = range(3)
_A = -0.75  # of PyTorch's cubic kernel; MATLAB's is -0.5


def resize(
    image: Canvas,
    height: Int[Array, ''],
    width: Int[Array, ''],
    mode: Int[Array, ''],
    limits: tuple[int, int],
) -> Canvas:
    """Resizes one image; values can leave [0, 1] by the bicubic mode.

    Two products with the matrices of `interpolation_matrix`, in float32, so of an image of 256 on
    a canvas of 384 pixels a side 0.4 GFLOP.

    Args:
      image: on its canvas.
      height: new, in pixels.
      width: new, in pixels.
      mode: AREA, BILINEAR or BICUBIC.
      limits: height and width of the new canvas, at least as large.
    """
    rows, columns = image.pixels.shape[:2]
    down = interpolation_matrix(image.height, height, mode, (limits[0], rows))
    across = interpolation_matrix(image.width, width, mode, (limits[1], columns))
    exact = jax.lax.Precision.HIGHEST
    pixels = jnp.einsum('ih,hwc->iwc', down, image.pixels, precision=exact)
    pixels = jnp.einsum('jw,iwc->ijc', across, pixels, precision=exact)
    return Canvas(pixels, height, width)


def interpolation_matrix(
    old: Int[Array, ''], new: Int[Array, ''], mode: Int[Array, ''], shape: tuple[int, int]
) -> Float[Array, 'out in']:
    """Returns the weights that resize a line of `old` pixels to `new` ones, 0 beyond either.

    PyTorch's `interpolate(size=new, mode=...)` with 'area' (an average over the pixels that an
    output pixel touches), 'bilinear' or 'bicubic', with align_corners=False and no antialiasing:
    output i lies at u = (i + 1/2) old / new - 1/2, and beyond the edge stands the edge.

    Args:
      old: pixels of the line.
      new: pixels of the resized line.
      mode: AREA, BILINEAR or BICUBIC.
      shape: of the matrix: at least `new` rows and `old` columns.
    """
    i, j = jnp.arange(shape[0])[:, None], jnp.arange(shape[1])[None]
    u = (i + 0.5) * (old / new) - 0.5
    start, end = (i * old) // new, ((i + 1) * old + new - 1) // new
    area = ((j >= start) & (j < end)) / (end - start)
    bilinear = jnp.maximum(1 - jnp.abs(jnp.clip(u, 0, old - 1) - j), 0)
    first = jnp.floor(u)
    bicubic = sum(
        _cubic(u - tap) * (jnp.clip(tap, 0, old - 1) == j)
        for tap in (first - 1, first, first + 1, first + 2)
    )
    weights = jnp.where(mode == AREA, area, jnp.where(mode == BILINEAR, bilinear, bicubic))
    return jnp.where((i < new) & (j < old), weights, 0.0)


def _cubic(t: Float[Array, '*shape']) -> Float[Array, '*shape']:
    t = jnp.abs(t)
    near = ((_A + 2) * t - (_A + 3)) * t * t + 1
    far = ((_A * t - 5 * _A) * t + 8 * _A) * t - 4 * _A
    return jnp.where(t <= 1, near, jnp.where(t < 2, far, 0.0))
