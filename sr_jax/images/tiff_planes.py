"""TIFFs of 16 bits whose colors lie in planes, as tifffile writes arrays with channels first.

Pillow 13 reads such planes as bytes where they are not compressed, and gives the high byte of each
number where they are. A grey image of 16 bits it reads whole: so each plane becomes one, the same
file with another directory at its end (TIFF 6.0, section 2; BigTIFF has wider numbers).
"""

import struct
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import UInt
from PIL import ImageFile
from PIL.ExifTags import Base

from sr_jax.images.sixteen_bits import PixelsError, tiff_tag

# Of each plane a part of these, and all of those.
OF_EACH = (Base.StripOffsets, Base.StripByteCounts, Base.TileOffsets, Base.TileByteCounts)
SIDES = (
    Base.ImageWidth,
    Base.ImageLength,
    Base.RowsPerStrip,
    Base.TileWidth,
    Base.TileLength,
)
OF_ALL = (*SIDES, Base.Compression, Base.FillOrder, Base.Predictor)
GRAY: dict[int, tuple[int, ...]] = {
    Base.BitsPerSample: (16,),
    Base.PhotometricInterpretation: (1,),
    Base.SamplesPerPixel: (1,),
    Base.PlanarConfiguration: (1,),
}
SHORT, LONG, LONG8 = (3, 'H'), (4, 'I'), (16, 'Q')  # numbers of TIFF, and of `struct`
WIDE = (*OF_EACH, *SIDES)
RGB, APART = 2, 2
STRAIGHT_ALPHA = (2,)
WITHOUT_ALPHA = ((), (0,))

Open = Callable[[bytes], ImageFile.ImageFile]


def are_apart(image: ImageFile.ImageFile) -> bool:
    """Whether an opened image has its colors in planes, one after the other."""
    is_apart = tiff_tag(image, Base.PlanarConfiguration) == APART
    return is_apart and (tiff_tag(image, Base.SamplesPerPixel) or 1) > 1


def read(
    image: ImageFile.ImageFile, encoded: bytes, open_bytes: Open
) -> tuple[UInt[np.ndarray, 'h w 3'], UInt[np.ndarray, 'h w 1'] | None]:
    """Reads planes of 16 bits without loss: color and, if there is any, alpha.

    Args:
      image: opened, at the page that is meant; its pixels are not read.
      encoded: the file.
      open_bytes: opens another one.

    Raises:
      PixelsError: they are not red, green, blue and perhaps alpha, not multiplied with it.
    """
    count = tiff_tag(image, Base.SamplesPerPixel)
    extra = tuple(tiff_tag(image, Base.ExtraSamples) or ())
    is_known = extra == STRAIGHT_ALPHA or extra in WITHOUT_ALPHA
    is_known &= tiff_tag(image, Base.PhotometricInterpretation) == RGB
    if count != 3 + len(extra) or not is_known:
        raise PixelsError(
            f'{count} planes of 16 bits that are not RGB, or RGBA with straight alpha, are not '
            'supported; save it as an interleaved RGB or RGBA PNG or TIFF'
        )
    planes = [_read_plane(image, encoded, open_bytes, number, count) for number in range(count)]
    color = np.stack(planes[:3], axis=-1)
    return color, planes[3][..., None] if extra == STRAIGHT_ALPHA else None


def _read_plane(
    image: ImageFile.ImageFile, encoded: bytes, open_bytes: Open, number: int, count: int
) -> UInt[np.ndarray, 'h w']:
    tags = dict(GRAY)
    for tag in (*OF_ALL, *OF_EACH):
        found = tiff_tag(image, tag)
        if found is not None:
            values = tuple(found) if isinstance(found, Sequence) else (found,)
            size = len(values) // count
            tags[tag] = values[number * size : (number + 1) * size] if tag in OF_EACH else values
    with open_bytes(_with_directory(encoded, tags)) as plane:
        return np.asarray(plane).astype(np.uint16)


def _with_directory(encoded: bytes, tags: dict[int, tuple[int, ...]]) -> bytes:
    """A file with another directory, of one image."""
    order = '<' if encoded[:2] == b'II' else '>'
    is_big = struct.unpack_from(f'{order}H', encoded, 2)[0] == 43
    # Of the header before the directory's place; of its count; of a value in an entry.
    place, length, width = (8, 'Q', LONG8) if is_big else (4, 'H', LONG)
    room = struct.calcsize(width[1])
    start = -(-len(encoded) // 8) * 8
    entries, behind = b'', b''
    beyond = start + struct.calcsize(length) + len(tags) * (4 + 2 * room) + room
    for tag in sorted(tags):
        kind, letter = width if tag in WIDE else SHORT
        data = struct.pack(f'{order}{len(tags[tag])}{letter}', *tags[tag])
        entries += struct.pack(f'{order}HH{width[1]}', tag, kind, len(tags[tag]))
        if len(data) > room:
            entries += struct.pack(f'{order}{width[1]}', beyond + len(behind))
            behind += data
        else:
            entries += data.ljust(room, b'\0')
    directory = struct.pack(f'{order}{length}', len(tags)) + entries + bytes(room) + behind
    header = encoded[:place] + struct.pack(f'{order}{width[1]}', start)
    return header + encoded[place + room :].ljust(start - place - room, b'\0') + directory
