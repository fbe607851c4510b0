"""JPEG's losses on the device: what an image is after libjpeg has written and read it."""

import math

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from sr_jax.degradations.canvas import Canvas, clamp_places, take_pixels

BLOCK = 16  # a block of the colours, which are halved, covers so many pixels a side

# ITU-T T.81, annex K.1: what libjpeg scales by the quality.
_LUMINANCE = [
    [16, 11, 10, 16, 24, 40, 51, 61],
    [12, 12, 14, 19, 26, 58, 60, 55],
    [14, 13, 16, 24, 40, 57, 69, 56],
    [14, 17, 22, 29, 51, 87, 80, 62],
    [18, 22, 37, 56, 68, 109, 103, 77],
    [24, 35, 55, 64, 81, 104, 113, 92],
    [49, 64, 78, 87, 103, 121, 120, 101],
    [72, 92, 95, 98, 112, 100, 103, 99],
]
_CHROMINANCE = np.full((8, 8), 99)
_CHROMINANCE[:4, :4] = [[17, 18, 24, 47], [18, 21, 26, 66], [24, 26, 56, 99], [47, 66, 99, 99]]
_TABLES = np.stack([_LUMINANCE, _CHROMINANCE])

# JFIF's colours; rows R, G, B, columns Y, Cb, Cr.
_FROM_RGB = np.array(
    [
        [0.299, -0.168735892, 0.5],
        [0.587, -0.331264108, -0.418687589],
        [0.114, 0.5, -0.081312411],
    ],
    np.float32,
)

# The cosine transform of eight values, by rows, as libjpeg scales it: sqrt(8) times orthonormal.
_DCT = np.sqrt(2) * np.cos(np.pi / 8 * np.arange(8)[:, None] * (np.arange(8) + 0.5))
_DCT[0] /= math.sqrt(2)
_DCT = _DCT.astype(np.float32)


def quantization_tables(quality: Int[Array, '']) -> Float[Array, '2 8 8']:
    """Returns libjpeg's tables, of brightness and colour, for a quality from 1 to 100."""
    percent = jnp.where(quality < 50, 5000 // jnp.maximum(quality, 1), 200 - 2 * quality)
    return jnp.clip((_TABLES * percent + 50) // 100, 1, 255).astype(jnp.float32)


def compress(image: Canvas, quality: Int[Array, ''], offset: Int[Array, '2']) -> Canvas:
    """Returns one image as it comes back from a JPEG file with halved colours (4:2:0).

    Every rounding of libjpeg-turbo's default path is followed, but the factors of its cosine
    transform, of 13 bits there, are exact: of the values of photographs 99% are Pillow's, and the
    difference is 59 dB or more below the range, where JPEG's own loss is 28 to 52 dB. The entropy
    coding loses nothing and is left out. So images need not go through a library on the host,
    which is sooner done on a CPU (0.7 ms against 8 ms for 256 x 256 pixels) but would have to come
    between two jitted halves of the step, twice.

    Args:
      image: in [0, 1]; rounded to 8 bits first.
      quality: libjpeg's, 1 to 100.
      offset: how far up and left of the image the first block begins, from 0 to 15, as in an
        image that was cropped after it had been compressed.
    """
    height, width = image.pixels.shape[:2]
    padded = [-(-(side + BLOCK - 1) // BLOCK) * BLOCK for side in (height, width)]
    rows = clamp_places(jnp.arange(padded[0]) - offset[0], image.height)
    columns = clamp_places(jnp.arange(padded[1]) - offset[1], image.width)
    rgb = take_pixels(jnp.round(255 * jnp.clip(image.pixels, 0.0, 1.0)), rows, columns)
    y, cb, cr = _split(rgb)
    tables = quantization_tables(quality)
    y = _quantize(y[None], tables[0])[0]
    colors = _quantize(jnp.stack([_halve(cb), _halve(cr)]), tables[1])
    y = take_pixels(y, offset[0] + jnp.arange(height), offset[1] + jnp.arange(width))
    cb, cr = (_double(plane, image, offset) for plane in colors)
    return image._replace(pixels=_join_planes(y, cb - 128, cr - 128) / 255)


def _split(rgb: Float[Array, 'h w 3']) -> list[Float[Array, 'h w']]:
    """Returns brightness and colours as whole numbers from 0 to 255."""
    red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    planes = [r * red + g * green + b * blue for r, g, b in _FROM_RGB.T]
    return [_round_half_up(planes[0]), *(jnp.ceil(p + 127.5) for p in planes[1:])]


def _join_planes(
    y: Float[Array, 'h w'], cb: Float[Array, 'h w'], cr: Float[Array, 'h w']
) -> Float[Array, 'h w 3']:
    red = y + _round_half_up(1.402 * cr)
    green = y + _round_half_up(-0.344136286 * cb - 0.714136286 * cr)
    blue = y + _round_half_up(1.772 * cb)
    return jnp.clip(jnp.stack([red, green, blue], -1), 0.0, 255.0)


def _halve(plane: Float[Array, 'h w']) -> Float[Array, 'h2 w2']:
    """Averages 2 x 2 pixels; exact halves go up in every other column, down in the others."""
    h, w = plane.shape
    total = plane.reshape(h // 2, 2, w // 2, 2).sum((1, 3))
    return jnp.floor((total + (1 + jnp.arange(w // 2) % 2)[None]) / 4)


def _double(
    plane: Float[Array, 'h2 w2'], image: Canvas, offset: Int[Array, '2']
) -> Float[Array, 'H W']:
    """Enlarges to the canvas by 9/16, 3/16, 3/16 and 1/16 of the nearest pixels, as by default."""
    sizes = (image.height, image.width)
    places, others, odd = [], [], []
    for begin, size, side in zip(offset, sizes, image.pixels.shape, strict=False):
        place = begin + jnp.arange(side)
        odd.append(place % 2)
        first, last = begin // 2, (begin + size - 1) // 2
        places.append(jnp.clip(place // 2, first, last))
        others.append(jnp.clip(place // 2 + 2 * odd[-1] - 1, first, last))
    rows = 3 * jnp.take(plane, places[0], axis=0) + jnp.take(plane, others[0], axis=0)
    total = 3 * jnp.take(rows, places[1], axis=1) + jnp.take(rows, others[1], axis=1)
    return jnp.floor((total + (8 - odd[1])[None]) / 16)


def _quantize(planes: Float[Array, 'n h w'], table: Float[Array, '8 8']) -> Float[Array, 'n h w']:
    """Rounds the cosine transforms of 8 x 8 blocks to multiples of the table.

    And between the passes as libjpeg's accurate integer transform does: rows first when writing,
    columns first when reading.
    """
    n, h, w = planes.shape
    blocks = (planes - 128).reshape(n, h // 8, 8, w // 8, 8).transpose(0, 1, 3, 2, 4)
    waves = _round_half_up(4 * _matmul('vj,nabij->nabiv', blocks))
    waves = _round_half_up(_matmul('ui,nabiv->nabuv', waves) / 4)
    step = 8 * table[None, None, None]
    waves = step / 8 * jnp.sign(waves) * jnp.floor((jnp.abs(waves) + step / 2) / step)
    blocks = _round_half_up(4 * _matmul('ui,nabuv->nabiv', waves))
    blocks = _round_half_up(_matmul('vj,nabiv->nabij', blocks) / 32)
    planes = blocks.transpose(0, 1, 3, 2, 4).reshape(n, h, w)
    return jnp.clip(planes + 128, 0.0, 255.0)


def _matmul(indices: str, blocks: Float[Array, '*shape']) -> Float[Array, '*shape']:
    return jnp.einsum(indices, _DCT, blocks, precision='highest')


def _round_half_up(x: Float[Array, '*shape']) -> Float[Array, '*shape']:
    """Rounds to whole numbers, halves up."""
    return jnp.floor(x + 0.5)
