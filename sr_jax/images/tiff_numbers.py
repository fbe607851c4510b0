"""Which numbers the pixels of a TIFF are: those of other kinds than levels are refused by name."""

import io
from collections.abc import Mapping
from typing import Any

from PIL import ImageFile, TiffImagePlugin
from PIL.ExifTags import Base

from sr_jax.images.sixteen_bits import PixelsError

_LEVELS, _UNKNOWN = 1, 4
_KINDS = {_LEVELS: 'uint', 2: 'int', 3: 'float', 5: 'complex int', 6: 'complex float'}
_BIG = 43  # the version of BigTIFF, whose header has 16 bytes


def check_numbers(image: ImageFile.ImageFile) -> None:
    """Looks at an opened image, at the page that is meant.

    Raises:
      PixelsError: it is a TIFF of signed or floating numbers, which Pillow takes for levels, or
        whose white nobody knows.
    """
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        tags = image.tag_v2
        if not set(_list(tags, Base.SampleFormat, _LEVELS)) <= {_LEVELS, _UNKNOWN}:
            raise PixelsError(_describe(tags))


def describe_unread(encoded: bytes) -> str:
    """Returns what a file that Pillow does not know is, if it is a TIFF; '' if not."""
    if not encoded.startswith(tuple(TiffImagePlugin.PREFIXES)):
        return ''
    try:
        header = encoded[: 16 if _BIG in encoded[2:4] else 8]
        tags = TiffImagePlugin.ImageFileDirectory_v2(header)
        file = io.BytesIO(encoded)
        file.seek(tags.next)
        tags.load(file)
        return _describe(tags)
    except Exception as error:  # a damaged directory raises nearly anything
        return f'a damaged TIFF ({error or type(error).__name__})'


def _list(tags: Mapping[int, Any], tag: int, standard: int) -> tuple[int, ...]:
    found = tags.get(tag, standard)
    return found if isinstance(found, tuple) else (found,)


def _describe(tags: Mapping[int, Any]) -> str:
    bits, kinds = _list(tags, Base.BitsPerSample, 1), _list(tags, Base.SampleFormat, _LEVELS)
    each = [(kind, bits[min(i, len(bits) - 1)]) for i, kind in enumerate(kinds)]
    names = dict.fromkeys(f'{_KINDS.get(kind, "unknown ")}{count}' for kind, count in each)
    told = f'a TIFF of {tags.get(Base.SamplesPerPixel, 1)} channel(s) of {", ".join(names)}'
    if all(kind == _LEVELS and count <= 16 for kind, count in each):
        told += f', photometric interpretation {tags.get(Base.PhotometricInterpretation)}'
    return (
        f'{told}, which cannot be read here: save it as grey, RGB or RGBA of uint8 or uint16, or '
        'give sr_jax.upscale the array, as floating numbers in [0, 1]'
    )
