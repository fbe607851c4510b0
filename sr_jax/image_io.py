"""Picture files to arrays in [0, 1], arrays to picture files, grids to look at."""

import math
import os
import pathlib
import stat
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Num
from PIL import Image

from sr_jax import file_writing
from sr_jax.errors import InputError
from sr_jax.image_decoding import (
    Layers,
    PictureError,
    decode,
    decode_layers,
    decode_size,
    to_float,
    to_uint8,
)
from sr_jax.image_encoding import encode

SUFFIXES = ('.png', '.jpg', '.jpeg', '.webp', '.tif', '.tiff', '.bmp')
_BYTES_PER_PIXEL = 16  # of a file: twice what 16 bits of four channels take, for metadata
_JPEG = {'format': 'JPEG', 'quality': 95, 'subsampling': 0}
_SAVE_OPTIONS: dict[str, dict[str, Any]] = {
    '.png': {'format': 'PNG'},
    '.jpg': _JPEG,
    '.jpeg': _JPEG,
    '.webp': {'format': 'WEBP', 'quality': 95},
}


def load(path: str | os.PathLike) -> Float[np.ndarray, 'h w 3']:
    """Reads a picture file as float32 RGB in [0, 1], by the rule of `read`.

    Raises `InputError` naming the file when it is missing, damaged, too large or not a picture.
    """
    return to_float(read(path))


def read(path: str | os.PathLike) -> Num[np.ndarray, 'h w 3']:
    """Reads a picture file in its own precision: uint8, uint16, or float32 in [0, 1].

    PNG, JPEG, WebP, TIFF and BMP. The rule for everything that is not plain RGB:
      grey is repeated to three channels; a palette is expanded; CMYK and YCbCr become RGB;
      16 bits per channel stay 16 bits (`to_float` divides by 65535);
      transparency is composited over white, in float32 (a fully opaque picture stays as it is);
      the EXIF orientation is applied; colour profiles are not;
      of a file with several pictures the first one is taken.

    Raises `PictureError` (an `InputError`) naming the file.
    """
    return decode(_encoded(path), os.fspath(path))


def read_layers(path: str | os.PathLike) -> Layers:
    """Reads all that a picture file holds: `read` without the compositing, and with the metadata.

    Raises `PictureError` (an `InputError`) naming the file.
    """
    return decode_layers(_encoded(path), os.fspath(path))


def size(path: str | os.PathLike) -> tuple[int, int]:
    """Height and width of a picture file, upright, from its header alone.

    Raises `PictureError` (an `InputError`) naming the file.
    """
    return decode_size(_encoded(path), os.fspath(path))


def save(path: str | os.PathLike, image: Float[np.ndarray, 'h w 3']) -> None:
    """Writes a picture in [0, 1] as an 8-bit PNG or JPEG, by the suffix of `path`.

    The file appears at once and whole: it is written beside its place and then moved there.
    Raises `InputError` for another suffix, and when the file cannot be written.
    """
    save_layers(path, Layers(to_uint8(image), None, False, None, Image.Exif()))


def save_layers(path: str | os.PathLike, layers: Layers) -> None:
    """Writes a picture with all that belongs to it, by the suffix of `path`, as `save` does.

    A PNG keeps everything: 8 or 16 bits, grey or colour, transparency, colour profile, EXIF. JPEG
    and WebP hold 8 bits, to which 16 are rounded, and JPEG no transparency.

    Raises `InputError` for another suffix, for transparency in a JPEG or more pixels along a side
    than the format can hold, and when the file cannot be written.
    """
    path = pathlib.Path(path)
    check_suffix(path)
    file_writing.write(path, encode(layers, _SAVE_OPTIONS[path.suffix.lower()], str(path)))


def check_suffix(path: pathlib.Path) -> None:
    """Raises `InputError` unless pictures can be written under that name."""
    if path.suffix.lower() not in _SAVE_OPTIONS:
        known = ', '.join(_SAVE_OPTIONS)
        raise InputError(f'{path}: pictures are written as {known}, not {path.suffix!r}')


def resized(pixels: Num[np.ndarray, 'h w c'], size: tuple[int, int]) -> Num[np.ndarray, 'h2 w2 c']:
    """A picture resized to (height, width) by Lanczos' filter of three lobes, in its own precision.

    The filter is widened when shrinking (Pillow's LANCZOS); values are clipped to their range.
    """
    if pixels.shape[:2] == size:
        return pixels
    result = np.empty((*size, pixels.shape[-1]), pixels.dtype)
    most = 1 if pixels.dtype == np.float32 else np.iinfo(pixels.dtype).max
    for channel in range(pixels.shape[-1]):
        image = Image.fromarray(pixels[..., channel].astype(np.float32))
        plane = np.asarray(image.resize(size[::-1], Image.Resampling.LANCZOS))
        result[..., channel] = np.clip(plane if most == 1 else np.rint(plane), 0, most)
    return result


def grid(
    columns: Sequence[Float[np.ndarray, 'n h w 3']], separator: int = 2
) -> Float[np.ndarray, 'grid_h grid_w 3']:
    """Lays batches side by side: row i shows picture i of every batch.

    Args:
      columns: batches of one shape, in [0, 1]; for example inputs and reconstructions.
      separator: width in pixels of the white lines between the pictures.
    """
    pictures = np.stack([np.asarray(column, np.float32) for column in columns], axis=1)
    padding = ((0, 0), (0, 0), (0, separator), (0, separator), (0, 0))
    pictures = np.pad(pictures, padding, constant_values=1)
    rows, count, height, width, channels = pictures.shape
    sheet = pictures.transpose(0, 2, 1, 3, 4).reshape(rows * height, count * width, channels)
    return sheet[: sheet.shape[0] - separator, : sheet.shape[1] - separator]


def list_pictures(folder: str | os.PathLike) -> list[pathlib.Path]:
    """Lists the pictures in a folder and below it, sorted; hidden files and folders are left out.

    Linked folders are followed, each real folder once. Raises `InputError` when `folder` is
    missing, is a file, or cannot be read.
    """
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        reason = 'is a file, not a folder' if folder.exists() else 'no such folder'
        raise InputError(f'{folder}: {reason}')
    found, seen = [], set()
    for root, folders, files in os.walk(folder, onerror=_refuse_folder, followlinks=True):
        real = os.path.realpath(root)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith('.'))
        visible = (name for name in files if not name.startswith('.'))
        found += [pathlib.Path(root, name) for name in visible if is_picture(name)]
    return sorted(found)


def is_picture(name: str) -> bool:
    """Whether the name ends like a picture that `load` reads, in any case of letters."""
    return name.lower().endswith(SUFFIXES)


def _encoded(path: str | os.PathLike) -> bytes:
    try:
        about = os.stat(path)
        if not stat.S_ISREG(about.st_mode):
            raise PictureError(os.fspath(path), 'not a file')
        # more than any picture of the most pixels takes; whole files are read into the memory
        most = _BYTES_PER_PIXEL * (Image.MAX_IMAGE_PIXELS or math.inf)
        if about.st_size > most:
            raise PictureError(
                os.fspath(path),
                f'{about.st_size / 2**30:.1f} GiB are more than a picture of the '
                f'{Image.MAX_IMAGE_PIXELS} pixels that are allowed can take; cut it into parts, or '
                'raise PIL.Image.MAX_IMAGE_PIXELS',
            )
        return pathlib.Path(path).read_bytes()
    except OSError as error:
        raise PictureError(os.fspath(path), error.strerror or str(error)) from error


def _refuse_folder(error: OSError) -> None:
    raise InputError(f'{error.filename}: the folder cannot be read: {error.strerror}') from error
