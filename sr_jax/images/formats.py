"""Which kinds of image files are read and written, and what each can hold."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

# Pillow's names of what is read, by suffix. Those in BY_NAME_ONLY have so little of a signature
# that they are tried on files of these suffixes alone; the others are known by their content.
READ = {
    '.png': 'PNG',
    '.apng': 'PNG',
    '.jpg': 'JPEG',
    '.jpeg': 'JPEG',
    '.jpe': 'JPEG',
    '.jfif': 'JPEG',
    '.mpo': 'JPEG',
    '.webp': 'WEBP',
    '.tif': 'TIFF',
    '.tiff': 'TIFF',
    '.bmp': 'BMP',
    '.dib': 'DIB',
    '.gif': 'GIF',
    '.avif': 'AVIF',
    '.jp2': 'JPEG2000',
    '.j2k': 'JPEG2000',
    '.ppm': 'PPM',
    '.pgm': 'PPM',
    '.pbm': 'PPM',
    '.pnm': 'PPM',
    '.qoi': 'QOI',
    '.dds': 'DDS',
    '.tga': 'TGA',
    '.pcx': 'PCX',
    '.sgi': 'SGI',
}
BY_NAME_ONLY = ('TGA', 'PCX', 'SGI')
SUFFIXES = tuple(READ)


class Format(NamedTuple):
    """What a kind of file can hold.

    Attributes:
      name: Pillow's.
      max_side: pixels.
      has_alpha: transparency.
      is_deep: 16 bits a channel.
      animates: animations.
      has_pages: several images of any sizes.
      has_quality: it loses what the eye hardly sees, by a quality from 1 to 100.
      options: of Pillow's `save`.
    """

    name: str
    max_side: int
    has_alpha: bool = True
    is_deep: bool = False
    animates: bool = False
    has_pages: bool = False
    has_quality: bool = False
    options: Mapping[str, Any] = MappingProxyType({})


_JPEG = Format('JPEG', 65_500, has_alpha=False, has_quality=True, options={'subsampling': 0})
_TIFF = Format('TIFF', 2**31 - 1, is_deep=True, has_pages=True)
WRITTEN = {
    '.png': Format('PNG', 2**31 - 1, is_deep=True, animates=True),
    '.jpg': _JPEG,
    '.jpeg': _JPEG,
    '.webp': Format('WEBP', 16_383, animates=True, has_quality=True),
    '.tif': _TIFF,
    '.tiff': _TIFF,
    '.gif': Format('GIF', 65_535, animates=True),
    # beyond, libavif does not read what it wrote unless it is told to
    '.avif': Format('AVIF', 32_768, has_quality=True, options={'subsampling': '4:4:4'}),
}
QUALITY = {'JPEG': 95, 'WEBP': 95, 'AVIF': 90}  # where none is asked for


def suffixes(**wanted: bool) -> str:
    """The suffixes of written formats whose attributes are as wanted, for messages."""
    return ', '.join(
        suffix
        for suffix, form in WRITTEN.items()
        if all(getattr(form, name) == value for name, value in wanted.items())
    )
