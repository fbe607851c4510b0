"""Planes of a film's frames to RGB and back, on the device, in float32.

The formulas are those of ITU-T H.273 (07/2024), clause 8.3: a sample is a fraction of its range,
and luma and chroma are a matrix times RGB, as they stand, with their transfer curve on.

Nothing is clipped on the way to RGB. Films hold colors below black, above white and outside of
the cube, and through a network that changes nothing they must come back; so RGB can leave [0, 1].
On the way back values are rounded, and clipped only to what the depth can hold.
"""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt

from sr_jax.errors import InputError
from sr_jax.film import chroma
from sr_jax.film.dither import diffuse_error
from sr_jax.film.formats import ColorDescription, PixelFormat, is_subsampled, plane_sizes

# Weights of red and blue in luma: H.273, table 4.
LUMA_WEIGHTS = {
    'bt709': (0.2126, 0.0722),
    'bt601': (0.299, 0.114),
    'bt470bg': (0.299, 0.114),
    'smpte170m': (0.299, 0.114),
    'fcc': (0.30, 0.11),
    'smpte240m': (0.212, 0.087),
    'bt2020nc': (0.2627, 0.0593),
}
DITHERS = ('none', 'error_diffusion')


def _luma_and_chroma(red: float, blue: float) -> Float[np.ndarray, '3 3']:
    luma = np.array([red, 1 - red - blue, blue])
    to_blue = (np.array([0, 0, 1]) - luma) / (2 * (1 - blue))
    to_red = (np.array([1, 0, 0]) - luma) / (2 * (1 - red))
    return np.stack([luma, to_blue, to_red])


# Rows: the planes y, u, v; columns: R, G, B.
MATRICES = {
    **{name: _luma_and_chroma(*weights) for name, weights in LUMA_WEIGHTS.items()},
    'ycgco': np.array([[0.25, 0.5, 0.25], [-0.25, 0.5, -0.25], [0.5, 0, -0.5]]),
    'identity': np.array([[0.0, 1, 0], [0, 0, 1], [1, 0, 0]]),
}


@functools.partial(jax.jit, static_argnames=('format', 'color', 'interlaced'))
def to_rgb(
    planes: Sequence[UInt[Array, 'n _ _']],
    format: PixelFormat,
    color: ColorDescription,
    *,
    interlaced: bool = False,
) -> Float[Array, 'n h w 3']:
    """Converts planes to RGB: 0 is black and 1 white, and values can lie outside.

    Args:
      planes: as `format` has them; alpha is left aside.
      format: of the planes.
      color: `sr_jax.film.tags.resolve` gives one that says all that is needed.
      interlaced: chroma of 4:2:0 belongs to fields, not to the frame.

    Raises:
      InputError: the description lacks the matrix or range, or has one that is not known, or the
        planes do not have the sizes that belong together.
    """
    _check_planes(planes, format)
    colors = planes[:1] if format.layout == 'gray' else planes[:3]
    scales = _find_scales(format, color)
    parts = [_to_fraction(plane, *scale) for plane, scale in zip(colors, scales, strict=False)]
    if format.layout == 'gray':
        parts *= 3
    elif format.layout == 'yuv':
        inverse = np.linalg.inv(_find_matrix(color))
        if is_subsampled(format):
            _, height, width = planes[0].shape
            parts[1:] = [
                chroma.enlarge(part, (height, width), format, color.chroma, interlaced)
                for part in parts[1:]
            ]
        parts = _multiply(inverse, parts)
    return jnp.stack(parts, axis=-1)


@functools.partial(jax.jit, static_argnames=('format',))
def to_alpha(
    planes: Sequence[UInt[Array, 'n _ _']], format: PixelFormat
) -> Float[Array, 'n h w']:
    """Returns the opacity in [0, 1]: it is of full range whatever the colors are."""
    return planes[-1].astype(jnp.float32) / (2**format.depth - 1)


@functools.partial(jax.jit, static_argnames=('format', 'color', 'dither', 'interlaced'))
def to_planes(
    rgb: Float[Array, 'n h w 3'],
    format: PixelFormat,
    color: ColorDescription,
    *,
    alpha: Float[Array, 'n h w'] | None = None,
    dither: str = 'none',
    interlaced: bool = False,
) -> tuple[UInt[Array, 'n _ _'], ...]:
    """Converts RGB to planes of whole numbers: the inverse of `to_rgb`.

    Args:
      rgb: 0 is black and 1 white; what lies outside is kept as far as the depth can hold it.
      format: of the planes; alpha is opaque where none is given.
      color: as for `to_rgb`.
      alpha: opacity, clipped to [0, 1].
      dither: 'none' rounds to the nearest; 'error_diffusion' hands what rounding took to the
        neighbors (`sr_jax.film.dither`).
      interlaced: chroma of 4:2:0 belongs to fields, not to the frame.

    Raises:
      InputError: as `to_rgb`, or no such dither.
    """
    if dither not in DITHERS:
        raise InputError(f'dither {dither!r}: it must be one of {", ".join(DITHERS)}')
    parts = _split(rgb, format, color, interlaced)
    scales = _find_scales(format, color)
    parts = [part * steps + zero for part, (zero, steps) in zip(parts, scales, strict=False)]
    if format.alpha:
        opacity = jnp.ones(rgb.shape[:3]) if alpha is None else jnp.clip(alpha, 0.0, 1.0)
        parts.append(opacity * (2**format.depth - 1))
    return tuple(_round(part, format.depth, dither) for part in parts)


def to_luma_chroma(rgb: Float[Array, '*size 3'], matrix: str) -> Float[Array, '*size 3']:
    """Returns luma in [0, 1] and two chromas in [-1/2, 1/2] of RGB in [0, 1], in one array.

    Args:
      rgb: colors.
      matrix: a key of `MATRICES`.
    """
    return jnp.stack(_multiply(MATRICES[matrix], [rgb[..., i] for i in range(3)]), axis=-1)


def from_luma_chroma(parts: Float[Array, '*size 3'], matrix: str) -> Float[Array, '*size 3']:
    """Returns RGB: the inverse of `to_luma_chroma`."""
    inverse = np.linalg.inv(MATRICES[matrix])
    return jnp.stack(_multiply(inverse, [parts[..., i] for i in range(3)]), axis=-1)


def _split(
    rgb: Array, format: PixelFormat, color: ColorDescription, interlaced: bool
) -> list[Array]:
    """Returns the fractions that the planes of colors hold, at the planes' sizes."""
    parts = [rgb[..., i] for i in range(3)]
    if format.layout == 'rgb':
        return parts
    matrix = _find_matrix(color)
    if format.layout == 'gray':
        return _multiply(matrix[:1], parts)
    parts = _multiply(matrix, parts)
    if is_subsampled(format):
        parts[1:] = [chroma.reduce(part, format, color.chroma, interlaced) for part in parts[1:]]
    return parts


def _find_matrix(color: ColorDescription) -> Float[np.ndarray, '3 3']:
    if color.matrix not in MATRICES:
        raise InputError(
            f'matrix {color.matrix!r}: name the one that the film was made with, one of '
            f'{", ".join(MATRICES)}'
        )
    return MATRICES[color.matrix]


def _find_scales(format: PixelFormat, color: ColorDescription) -> list[tuple[int, int]]:
    """Returns, of the three planes, the sample that stands for 0 and how many steps are 1."""
    step, most = 2 ** (format.depth - 8), 2**format.depth - 1
    if color.range == 'limited':
        luma, colors = (16 * step, 219 * step), (128 * step, 224 * step)
    elif color.range == 'full':
        luma, colors = (0, most), (128 * step, most)
    else:
        raise InputError(f"range {color.range!r}: it must be 'limited' or 'full'")
    alike = format.layout == 'rgb' or color.matrix == 'identity'
    return [luma] * 3 if alike else [luma, colors, colors]


def _to_fraction(plane: Array, zero: int, steps: int) -> Array:
    return (plane.astype(jnp.float32) - zero) * np.float32(1 / steps)


def _multiply(matrix: Float[np.ndarray, 'rows 3'], parts: Sequence[Array]) -> list[Any]:
    """Multiplies by a small matrix, as sums that XLA fuses with what stands around them."""
    return [
        sum(float(weight) * part for weight, part in zip(row, parts, strict=True) if weight)
        for row in matrix
    ]


def _round(levels: Array, depth: int, dither: str) -> Array:
    most = 2**depth - 1
    kind = jnp.uint8 if depth == 8 else jnp.uint16
    if dither == 'error_diffusion':
        levels = diffuse_error(levels, most)
    return jnp.clip(jnp.round(levels), 0, most).astype(kind)


def _check_planes(planes: Sequence[Array], format: PixelFormat) -> None:
    sizes = [tuple(plane.shape[1:]) for plane in planes]
    wanted = plane_sizes(format, *sizes[0])
    if sizes != wanted:
        raise InputError(f'planes of sizes {sizes}; this format has {wanted}')
