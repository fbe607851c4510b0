"""FFmpeg's pixel formats and our planes: every sample is moved, none is changed.

Planar formats are copied plane by plane, without the padding at the ends of rows. Packed ones
(RGB24, YUYV, NV12, P010 ...) are taken apart, and palettes looked up, in NumPy. FFmpeg's own
conversion is not used: it rounds.
"""

import re
from typing import Any

import numpy as np

from sr_jax.errors import InputError, LastingError
from sr_jax.film.ffmpeg import av
from sr_jax.film.formats import PixelFormat, Planes

# Channels of a pixel in memory; 0 is one of no meaning.
PACKED = {
    **{name: name for name in ('rgba', 'bgra', 'argb', 'abgr', 'rgb0', 'bgr0', '0rgb', '0bgr')},
    **{f'{order}24': order for order in ('rgb', 'bgr')},
    **{f'{order}48': order for order in ('rgb', 'bgr')},
    **{f'{order}64': order for order in ('rgba', 'bgra')},
    'ya8': 'ya',
    'ya16': 'ya',
}
# Two pixels of 4:2:2 in four bytes: where luma, and each chroma, begins.
PACKED_422 = {'yuyv422': (0, 1, 3), 'uyvy422': (1, 0, 2), 'yvyu422': (0, 3, 1)}
# A plane of luma and one of both chromas: which comes first, and by how much samples are shifted.
SEMIPLANAR = {
    **dict.fromkeys(('nv12', 'nv16', 'nv24', 'p016', 'p216', 'p416', 'nv20'), ('uv', 0)),
    **dict.fromkeys(('nv21', 'nv42'), ('vu', 0)),
    **dict.fromkeys(('p010', 'p210', 'p410'), ('uv', 6)),
    **dict.fromkeys(('p012', 'p212', 'p412'), ('uv', 4)),
}
SUBSAMPLINGS = {
    (1, 1): '444',
    (2, 1): '422',
    (2, 2): '420',
    (1, 2): '440',
    (4, 1): '411',
    (4, 4): '410',
}


def describe(name: str) -> PixelFormat:
    """Returns what frames of FFmpeg's pixel format `name` become.

    Raises:
      InputError: samples that are no integers of 8 to 16 bits, or laid out in a way unknown here.
    """
    format = av.VideoFormat(name, 16, 16)
    if format.has_palette:
        return PixelFormat('rgb', 8, alpha=True)
    components = format.components
    depth = max((component.bits for component in components), default=0)
    known = _is_planar(format) or any(_stem(name) in each for each in (PACKED, SEMIPLANAR))
    if not (known or name in PACKED_422) or re.search('f16|f32|msb', name) or not 8 <= depth <= 16:
        raise LastingError(
            f'pixels of the format {name} are not known here: '
            'convert the film to one of integers, such as yuv420p or gbrp'
        )
    alpha = any(component.is_alpha for component in components)
    if format.is_rgb:
        return PixelFormat('rgb', depth, alpha=alpha)
    if len(components) - alpha == 1:
        return PixelFormat('gray', depth, alpha=alpha)
    across, down = 16 // format.chroma_width(), 16 // format.chroma_height()
    return PixelFormat('yuv', depth, across, down, alpha)


def planar_name(pixels: PixelFormat) -> str:
    """Returns the name of the planar format that holds such pixels.

    Raises:
      InputError: FFmpeg has none.
    """
    alpha = 'a' * pixels.alpha
    if pixels.layout == 'yuv':
        sampling = SUBSAMPLINGS.get((pixels.horizontal, pixels.vertical), '?')
        name = f'yuv{alpha}{sampling}p'
    elif pixels.layout == 'rgb':
        name = f'gbr{alpha}p'
    else:
        name = 'ya' if pixels.alpha else 'gray'
    if name == 'ya' or pixels.depth > 8:
        name += str(pixels.depth)
    name += 'le' * (pixels.depth > 8)
    if name not in av.video.format.names:
        raise InputError(f'FFmpeg has no format for {pixels}')
    return name


def planes_of(frame: Any) -> Planes:
    """Returns the planes of a frame: a copy, uint8 or uint16, of the machine's byte order.

    Raises:
      InputError: the pixel format is not known here.
    """
    name = frame.format.name
    describe(name)
    if frame.format.has_palette:
        return _look_up(frame)
    rows = [_rows(plane, frame.format) for plane in frame.planes]
    if _is_planar(frame.format):
        planes = [rows[part.plane][:, : part.width] for part in frame.format.components]
    elif name in PACKED_422:
        planes = _unpack_422(rows[0], PACKED_422[name], frame.width)
    elif _stem(name) in PACKED:
        order = PACKED[_stem(name)]
        pixels = rows[0][:, : frame.width * len(order)].reshape(frame.height, -1, len(order))
        planes = [pixels[..., order.index(channel)] for channel in 'rgbya' if channel in order]
    else:
        order, shift = SEMIPLANAR[_stem(name)]
        planes = [plane >> shift for plane in _split_chroma(rows, frame, order)]
    return tuple(_native(plane) for plane in planes)


def fill(frame: Any, planes: Planes) -> None:
    """Writes planes into a frame of a planar or packed format, such as an encoder takes.

    Args:
      frame: of FFmpeg, of the planes' size and depth.
      planes: in the order of `Planes`.
    """
    rows = [_rows(plane, frame.format) for plane in frame.planes]
    if _is_planar(frame.format):
        for part, plane in zip(frame.format.components, planes, strict=True):
            rows[part.plane][:, : part.width] = plane
        return
    if _stem(frame.format.name) in SEMIPLANAR:
        order, shift = SEMIPLANAR[_stem(frame.format.name)]
        for part, plane in zip(_split_chroma(rows, frame, order), planes, strict=True):
            part[...] = plane << shift
        return
    order = PACKED[_stem(frame.format.name)]
    pixels = rows[0][:, : frame.width * len(order)].reshape(frame.height, -1, len(order))
    present = [channel for channel in 'rgbya' if channel in order]
    for channel, plane in zip(present, planes, strict=True):
        pixels[..., order.index(channel)] = plane


def _rows(plane: Any, format: Any) -> np.ndarray:
    """Returns a plane's memory [h, samples of a row and its padding]."""
    rows = np.frombuffer(plane, np.uint8).reshape(plane.height, -1)
    if plane.line_size < 0:  # the lowest row comes first in memory
        rows = rows[::-1]
    wide = format.components[0].bits > 8
    return rows.view('>u2' if format.is_big_endian else '<u2') if wide else rows


def _native(plane: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(plane, plane.dtype.newbyteorder('='))


def _is_planar(format: Any) -> bool:
    """Returns whether every component has a plane of its own, whole samples in it."""
    planes = [component.plane for component in format.components]
    return len(set(planes)) == len(planes) and not format.is_bit_stream and not format.has_palette


def _stem(name: str) -> str:
    return re.sub('(le|be)$', '', name)


def _look_up(frame: Any) -> Planes:
    """Returns r, g, b, a of a frame with a palette, 32-bit numbers ARGB."""
    pixels, palette = frame.planes
    indices = np.frombuffer(pixels, np.uint8).reshape(frame.height, -1)[:, : frame.width]
    colors = np.frombuffer(palette, np.uint32)
    return tuple((colors >> shift).astype(np.uint8)[indices] for shift in (16, 8, 0, 24))


def _unpack_422(rows: np.ndarray, begins: tuple[int, int, int], width: int) -> list[np.ndarray]:
    luma, u, v = begins
    half = (width + 1) // 2
    return [rows[:, luma::2][:, :width], rows[:, u::4][:, :half], rows[:, v::4][:, :half]]


def _split_chroma(rows: list[np.ndarray], frame: Any, order: str) -> list[np.ndarray]:
    width = frame.format.chroma_width(frame.width)
    both = rows[1][:, : 2 * width]
    return [rows[0][:, : frame.width], *(both[:, order.index(name) :: 2] for name in 'uv')]
