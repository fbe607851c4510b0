"""Pixels of 16 bits a channel out of Pillow, which keeps them whole only where they are grey."""

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import UInt
from PIL import ExifTags, ImageFile, TiffImagePlugin

_WHITE_IS_ZERO = 0

Reopen = Callable[[], ImageFile.ImageFile]  # opens the file again, at the same frame or page


class PixelsError(Exception):
    """Pixels are stored in a way that is not read here; says in which, and what would be."""


def is_sixteen_bit(image: ImageFile.ImageFile) -> bool:
    """Returns whether an opened image has 16 bits a channel."""
    bits = tiff_tag(image, ExifTags.Base.BitsPerSample) or ()
    return any(';16' in raw_mode(tile.args) for tile in image.tile) or 16 in bits


def tiff_tag(image: ImageFile.ImageFile, tag: int) -> Any:
    """Returns a tag of a TIFF; None where it or the TIFF is missing."""
    return image.tag_v2.get(tag) if isinstance(image, TiffImagePlugin.TiffImageFile) else None


def raw_mode(arguments: tuple[Any, ...] | str | None) -> str:
    """Returns how the pixels lie in the file, from what Pillow tells a tile's decoder."""
    return arguments if isinstance(arguments, str) else str((arguments or ('',))[0])


def read(image: ImageFile.ImageFile, reopen: Reopen) -> tuple[np.ndarray, np.ndarray | None]:
    """Reads 16-bit grey, grey with alpha, RGB and RGBA without loss.

    Pillow keeps 16 bits only for grey. Of the others it keeps the high byte of each number as an
    8-bit image; reading the file once more under the opposite byte order gives the low byte.
    """
    if image.mode.startswith('I'):
        gray = np.asarray(image).astype(np.uint16)[..., None]
        if tiff_tag(image, ExifTags.Base.PhotometricInterpretation) == _WHITE_IS_ZERO:
            gray = 65535 - gray
        key = image.info.get('transparency')
        return np.repeat(gray, 3, axis=2), None if key is None else _make_alpha(gray, key)
    mode = raw_mode(image.tile[0].args) if len(image.tile) else ''
    if mode == 'LA;16B':  # four bytes a pixel, which 'RGBA' passes on as they are
        pixels = _reread(reopen(), 'RGBA').view('>u2').astype(np.uint16)
        return np.repeat(pixels[..., :1], 3, axis=2), pixels[..., 1:]
    kind, _, order = mode.partition(';16')
    if kind not in ('RGB', 'RGBA') or order not in ('B', 'L', 'N'):
        raise PixelsError(
            f'16-bit pixels stored as {mode or image.mode} are not supported; save it as '
            'an interleaved RGB or RGBA PNG or TIFF',
        )
    native = {'little': 'L', 'big': 'B'}[sys.byteorder]
    opposite = {'B': 'L', 'L': 'B'}[order.replace('N', native)]
    high = np.asarray(image).astype(np.uint16)
    pixels = high * 256 + _reread(reopen(), f'{kind};16{opposite}')
    if kind == 'RGBA':
        return pixels[..., :3], pixels[..., 3:]
    key = image.info.get('transparency')
    return pixels, None if key is None else _make_alpha(pixels, key)


def _reread(image: ImageFile.ImageFile, mode: str) -> UInt[np.ndarray, 'h w c']:
    """Decodes an image that was opened again with another order of bytes."""
    for number, tile in enumerate(image.tile):
        arguments = (mode, *tile.args[1:]) if isinstance(tile.args, tuple) else mode
        image.tile[number] = tile._replace(args=arguments)
    return np.asarray(image)


def _make_alpha(pixels: UInt[np.ndarray, 'h w c'], key: Any) -> UInt[np.ndarray, 'h w 1']:
    """Returns the alpha of an image in which one colour, `key`, stands for full transparency."""
    opaque = (pixels != np.asarray(key, np.uint16)).any(axis=2, keepdims=True)
    return np.where(opaque, np.uint16(65535), np.uint16(0))
