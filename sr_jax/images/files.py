"""Image files to arrays, arrays to image files."""

import math
import os
import pathlib
import stat
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float, Num
from PIL import Image

from sr_jax.errors import InputError
from sr_jax.images import atomic, decoding, encoding
from sr_jax.images.decoding import ImageError, Layers, Outline, Timing, to_float, to_uint8
from sr_jax.images.encoding import USUAL, Encoding
from sr_jax.images.formats import SUFFIXES, WRITTEN, Format

_SMALL = 64 * 2**20  # bytes of a file that is always opened, so that its pixels are told
_BYTES_PER_PIXEL = 16  # of a file: twice what 16 bits of four channels take, for metadata


def load_image(path: str | os.PathLike) -> Float[np.ndarray, 'h w 3']:
    """Reads an image file as float32 RGB in [0, 1], by the rule of `read_image`.

    Raises `InputError` naming the file when it is missing, damaged, too large or not an image.
    """
    return to_float(read_image(path))


def read_image(path: str | os.PathLike) -> Num[np.ndarray, 'h w 3']:
    """Reads an image file in its own precision: uint8, uint16, or float32 in [0, 1].

    The kinds of files in `sr_jax.images.formats`. The rule for everything that is not plain RGB:
      grey is repeated to three channels; a palette is expanded; CMYK and YCbCr become RGB;
      16 bits per channel stay 16 bits (`to_float` divides by 65535);
      transparency is composited over white, in float32 (a fully opaque image stays as it is);
      the EXIF orientation is applied; colour profiles are not;
      of a file with several images the first one is taken.

    Raises `ImageError` (an `InputError`) naming the file.
    """
    return decoding.decode(_read_encoded(path), os.fspath(path))


def read_layers(path: str | os.PathLike) -> Layers:
    """Reads all that an image file holds: nothing is composited, and metadata are kept.

    Raises `ImageError` (an `InputError`) naming the file.
    """
    return decoding.decode_layers(_read_encoded(path), os.fspath(path))


def read_all(path: str | os.PathLike) -> Iterator[tuple[Layers, float]]:
    """Reads each frame of an animation, or each page of a TIFF, as `read_layers` does.

    With each frame comes how many milliseconds it is shown; 0 of other images.
    Raises `ImageError` (an `InputError`) naming the file.
    """
    return decoding.decode_all(_read_encoded(path), os.fspath(path))


def read_timing(path: str | os.PathLike) -> Timing:
    """Reads how an animation is played.

    Raises `ImageError` (an `InputError`) naming the file.
    """
    return decoding.decode_timing(_read_encoded(path), os.fspath(path))


def read_outline(path: str | os.PathLike) -> Outline:
    """Reads what the header of an image file tells: its size, upright, its frames and pages.

    Raises `ImageError` (an `InputError`) naming the file.
    """
    return decoding.decode_outline(_read_encoded(path), os.fspath(path))


def image_size(path: str | os.PathLike) -> tuple[int, int]:
    """Returns height and width of an image file, upright, from its header alone.

    Raises `ImageError` (an `InputError`) naming the file.
    """
    return read_outline(path).size


def save_image(path: str | os.PathLike, image: Float[np.ndarray, 'h w 3']) -> None:
    """Writes an image in [0, 1] with 8 bits, by the suffix of `path`.

    The file appears at once and whole: it is written beside its place and then moved there.
    Raises `InputError` for another suffix, and when the file cannot be written.
    """
    save_layers(path, Layers(to_uint8(image)))


def save_layers(path: str | os.PathLike, layers: Layers, how: Encoding = USUAL) -> None:
    """Writes an image with all that belongs to it, by the suffix of `path`, as `save_image` does.

    A PNG keeps everything: 8 or 16 bits, grey or colour, transparency and metadata; so does a TIFF
    but for texts and the camera's EXIF. The others hold 8 bits, to which 16 are rounded, and JPEG
    no transparency. `sr_jax.images.encoding.left_out` says which metadata are lost.

    Raises `InputError` for another suffix, for transparency in a JPEG or more pixels along a side
    than the format can hold, and when the file cannot be written.
    """
    save_pages(path, [layers], how)


def save_pages(
    path: str | os.PathLike, pages: Sequence[Layers], how: Encoding = USUAL
) -> None:
    """Writes images of any sizes into one file, a TIFF if they are several, as `save_layers`."""
    path = pathlib.Path(path)
    atomic.write(path, encoding.encode_pages(pages, written_format(path), str(path), how))


def save_animation(
    path: str | os.PathLike, frames: Sequence[Layers], timing: Timing, how: Encoding = USUAL
) -> None:
    """Writes frames of one size as an animation, as `save_layers` does an image."""
    path = pathlib.Path(path)
    form = written_format(path)
    atomic.write(path, encoding.encode_animation(frames, timing, form, str(path), how))


def written_format(path: pathlib.Path) -> Format:
    """Returns what a file of that name holds; raises `InputError` if no image is written so."""
    suffix = path.suffix.lower()
    if suffix not in WRITTEN:
        raise InputError(f'{path}: images are written as {", ".join(WRITTEN)}, not {suffix!r}')
    return WRITTEN[suffix]


def list_images(folder: str | os.PathLike) -> list[pathlib.Path]:
    """Lists the images in a folder and below it, sorted; hidden files and folders are left out.

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
        found += [pathlib.Path(root, name) for name in visible if is_image(name)]
    return sorted(found)


def count_others(folder: str | os.PathLike) -> dict[str, int]:
    """Counts what `list_images` passes over in a folder and below it, by suffix; not hidden files.

    Linked folders are not followed.
    """
    others: Counter[str] = Counter()
    for _, folders, files in os.walk(os.fspath(folder)):
        folders[:] = [name for name in folders if not name.startswith('.')]
        visible = [name for name in files if not name.startswith('.') and not is_image(name)]
        others.update(pathlib.Path(name).suffix.lower() for name in visible)
    return dict(others.most_common())


def is_image(name: str) -> bool:
    """Returns whether a name ends like an image that can be read, in any case of letters."""
    return name.lower().endswith(SUFFIXES)


def _read_encoded(path: str | os.PathLike) -> bytes:
    try:
        about = os.stat(path)
        if not stat.S_ISREG(about.st_mode):
            raise ImageError(os.fspath(path), 'not a file')
        # more than any image of the most pixels takes; whole files are read into the memory
        most = max(_BYTES_PER_PIXEL * (Image.MAX_IMAGE_PIXELS or math.inf), _SMALL)
        if about.st_size > most:
            raise ImageError(
                os.fspath(path),
                f'{about.st_size / 2**30:.1f} GiB are more than an image of the '
                f'{Image.MAX_IMAGE_PIXELS} pixels that are allowed can take: raise the limit '
                '(--max-pixels, in Python PIL.Image.MAX_IMAGE_PIXELS), or cut it into parts',
            )
        return pathlib.Path(path).read_bytes()
    except OSError as error:
        raise ImageError(os.fspath(path), error.strerror or str(error)) from error


def _refuse_folder(error: OSError) -> None:
    raise InputError(f'{error.filename}: the folder cannot be read: {error.strerror}') from error
