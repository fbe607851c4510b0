"""What the planes of a film's frames hold, and what their numbers mean as colors."""

from typing import NamedTuple, TypeAlias

import numpy as np

Planes: TypeAlias = tuple[np.ndarray, ...]
"""uint8 or uint16 arrays [n, h, w]: (y, u, v), (y,) or (r, g, b), and alpha after them."""

# What can be done about fields; 'auto' looks at the film.
DEINTERLACING = ('auto', 'off', 'frames', 'fields', 'telecine')
UNSPECIFIED = 'unspecified'
# What is taken for a film by its name.
SUFFIXES = (
    *('.mkv', '.mp4', '.m4v', '.mov', '.avi', '.ts', '.m2ts', '.mts', '.mpg', '.mpeg', '.vob'),
    *('.webm', '.y4m', '.flv', '.wmv', '.asf', '.3gp', '.3g2', '.ogv', '.dv', '.nut', '.mxf'),
    *('.m2v', '.rm', '.rmvb', '.divx'),
)


class PixelFormat(NamedTuple):
    """How a frame is stored, one array a plane.

    Attributes:
      layout: 'yuv', 'gray' or 'rgb'.
      depth: bits of a sample, 8 to 16.
      horizontal: luma samples for one of chroma along a row: 1, 2 or 4.
      vertical: and along a column.
      alpha: whether a plane of opacity follows.
    """

    layout: str
    depth: int
    horizontal: int = 1
    vertical: int = 1
    alpha: bool = False


class ColorDescription(NamedTuple):
    """What the samples of a frame mean, in FFmpeg's words.

    Attributes:
      matrix: from RGB to luma and chroma: a key of `sr_jax.film.color.MATRICES`.
      range: 'limited' (black at 16 of 255) or 'full'.
      primaries: of red, green and blue; carried along, never converted.
      transfer: the curve of the samples; only HDR's are acted on (`sr_jax.film.tone`).
      chroma: where chroma is sampled: 'left', 'center', 'topleft', 'top', 'bottomleft', 'bottom'.
    """

    matrix: str = UNSPECIFIED
    range: str = UNSPECIFIED
    primaries: str = UNSPECIFIED
    transfer: str = UNSPECIFIED
    chroma: str = UNSPECIFIED


class FrameKind(NamedTuple):
    """What the planes of frames hold.

    Attributes:
      height, width: in pixels.
      pixels: how they are stored.
      color: what they mean; `sr_jax.film.tags.resolve` leaves nothing open.
    """

    height: int
    width: int
    pixels: PixelFormat
    color: ColorDescription


def words(format: PixelFormat) -> str:
    """Returns, for a person, how frames are stored."""
    kind = {'yuv': 'YUV', 'gray': 'gray', 'rgb': 'RGB'}[format.layout]
    if format.layout == 'yuv':
        kind += f', chroma 1/{format.horizontal} by 1/{format.vertical}'
    return f'{kind}, {format.depth} bits{", alpha" * format.alpha}'


def is_subsampled(format: PixelFormat) -> bool:
    """Returns whether the chroma planes are smaller than luma's."""
    return format.layout == 'yuv' and format.horizontal * format.vertical > 1


def plane_sizes(format: PixelFormat, height: int, width: int) -> list[tuple[int, int]]:
    """Returns height and width of every plane; chroma's sides are rounded up."""
    colors = {'gray': 0, 'yuv': 2, 'rgb': 2}[format.layout]
    chroma = (height, width)
    if format.layout == 'yuv':
        chroma = (-(-height // format.vertical), -(-width // format.horizontal))
    return [(height, width), *[chroma] * colors, *[(height, width)] * format.alpha]
