"""What an image file says beside its pixels: read as far as it can be, kept for what is written."""

import math
import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from PIL import ExifTags, Image, ImageFile

_IFD = ExifTags.IFD
_NESTED = (_IFD.Exif, _IFD.GPSInfo)
_SIZES = (ExifTags.Base.ExifImageWidth, ExifTags.Base.ExifImageHeight)
XMP_TEXT = 'XML:com.adobe.xmp'  # the key of a PNG's text that holds XMP
_COMMENT = 'Comment'  # the key under which a PNG keeps what JPEG and GIF hold without one
_DESCRIPTIVE = {  # of a TIFF's directory, whose other tags say how its pixels lie
    ExifTags.Base.ImageDescription,
    ExifTags.Base.Make,
    ExifTags.Base.Model,
    ExifTags.Base.XResolution,
    ExifTags.Base.YResolution,
    ExifTags.Base.ResolutionUnit,
    ExifTags.Base.Software,
    ExifTags.Base.DateTime,
    ExifTags.Base.Artist,
    ExifTags.Base.HostComputer,
    ExifTags.Base.Copyright,
    ExifTags.Base.Rating,
    ExifTags.Base.XPTitle,
    ExifTags.Base.XPComment,
    ExifTags.Base.XPAuthor,
    ExifTags.Base.XPKeywords,
    ExifTags.Base.XPSubject,
    *_NESTED,
}
_MAY_TURN = (b'eXIf', b'Raw profile type exif', b'Orientation')  # in a PNG that may be turned
_MOST_JPEG = 65_533  # bytes of a segment
_MOST_JPEG_XMP = _MOST_JPEG - 29  # after the name that begins it


class Metadata(NamedTuple):
    """What is said of an image.

    Attributes:
      icc_profile: the colour profile, where it is one of the channels as they are here.
      exif: as a TIFF structure without the orientation, which was applied; empty where none is.
      xmp: XML; empty where none is.
      texts: a PNG's, and the comment of a JPEG or a GIF.
      resolution: pixels an inch, across and down.
      left_out: what could not be read or kept, for a person.
    """

    icc_profile: bytes | None = None
    exif: bytes = b''
    xmp: bytes = b''
    texts: Mapping[str, str] = MappingProxyType({})
    resolution: tuple[float, float] | None = None
    left_out: tuple[str, ...] = ()


def read(image: ImageFile.ImageFile, keep_profile: bool) -> tuple[Metadata, int]:
    """Reads what an opened image says of itself, and its orientation (1 to 8).

    Whatever cannot be read is left out, and named in `left_out`.

    Args:
      image: opened, its pixels read.
      keep_profile: whether the colour profile is one of the channels that are kept.
    """
    left_out: list[str] = []
    exif, orientation = _read_exif(image, left_out)
    found = Metadata(
        icc_profile=image.info.get('icc_profile') if keep_profile else None,
        exif=exif,
        xmp=_read_xmp(image),
        texts=_read_texts(image),
        resolution=_read_resolution(image),
    )
    return found._replace(left_out=tuple(left_out)), orientation


def read_orientation(image: ImageFile.ImageFile, encoded: bytes) -> int:
    """Reads the orientation (1 to 8) of an opened image, without its pixels if it can be.

    Pillow decodes a PNG to look for EXIF after the pixels, so its bytes are searched before.
    """
    if image.format == 'PNG' and not any(sign in encoded for sign in _MAY_TURN):
        return 1
    return _read_exif(image, [])[1]


def for_format(metadata: Metadata, kind: str, size: tuple[int, int]) -> Metadata:
    """What a format can hold of metadata; the rest is named in `left_out`.

    Args:
      metadata: what there is.
      kind: Pillow's name of the format.
      size: height and width of the written image, which EXIF will say.
    """
    left_out = list(metadata.left_out)

    def drop(what: str, why: str) -> None:
        left_out.append(f'{what} ({why})')

    found = metadata._replace(
        exif=set_exif_size(metadata.exif, size), xmp=set_xmp_size(metadata.xmp, size)
    )
    if kind == 'GIF' and (found.exif or found.xmp or found.icc_profile):
        drop('EXIF, XMP and the colour profile', 'a GIF holds none')
        found = found._replace(exif=b'', xmp=b'', icc_profile=None)
    if found.resolution and kind not in ('PNG', 'JPEG', 'TIFF'):
        if ExifTags.Base.XResolution not in load_exif(found.exif):
            drop('the resolution', f'a {kind} says none but in EXIF')
    if kind == 'TIFF' and any(ifd in load_exif(found.exif) for ifd in _NESTED):
        drop("the camera's EXIF and the place", 'they are not written into a TIFF')
    if kind == 'JPEG' and len(found.exif) + 6 > _MOST_JPEG:
        drop('EXIF', f'a JPEG holds at most 64 KiB of it, not {len(found.exif) >> 10}')
        found = found._replace(exif=b'')
    if kind == 'JPEG' and len(found.xmp) > _MOST_JPEG_XMP:
        drop('XMP', f'a JPEG holds at most 64 KiB of it, not {len(found.xmp) >> 10}')
        found = found._replace(xmp=b'')
    if kind != 'PNG' and found.texts:
        comment = {key: text for key, text in found.texts.items() if key == _COMMENT}
        kept = comment if kind in ('JPEG', 'GIF') else {}
        lost = [key for key in found.texts if key not in kept]
        if lost:
            drop(f'text ({", ".join(lost)[:100]})', f'a {kind} holds none')
        found = found._replace(texts=kept)
    return found._replace(left_out=tuple(left_out))


def comment_of(metadata: Metadata) -> bytes:
    """The text that a JPEG or a GIF holds without a key."""
    return metadata.texts.get(_COMMENT, '').encode()


def load_exif(data: bytes) -> Image.Exif:
    """EXIF from its bytes, as Pillow has it."""
    exif = Image.Exif()
    if data:
        exif.load(b'Exif\0\0' + data)
    return exif


def set_exif_size(data: bytes, size: tuple[int, int]) -> bytes:
    """EXIF that says another size of the image, where it says one."""
    if not data:
        return data
    exif = load_exif(data)
    nested = exif.get_ifd(_IFD.Exif) if _IFD.Exif in exif else {}
    for tag, side in zip(_SIZES, reversed(size), strict=True):
        if tag in nested:
            nested[tag] = side
    return _write(exif)


def set_xmp_size(data: bytes, size: tuple[int, int]) -> bytes:
    """XMP that says another size of the image, upright, where it says one."""
    height, width = size
    now = {b'Orientation': 1, b'ImageWidth': width, b'ImageLength': height}
    now |= {b'PixelXDimension': width, b'PixelYDimension': height}
    for name, value in now.items():
        number = str(value).encode()
        for form in (rb'((?:tiff|exif):%s=["\'])\d+', rb'(<(?:tiff|exif):%s>)\d+'):
            data = re.sub(form % name, rb'\g<1>' + number, data)
    return data


def _read_exif(image: ImageFile.ImageFile, left_out: list[str]) -> tuple[bytes, int]:
    """The bytes of what can be written again of EXIF, and the orientation."""
    try:
        exif = image.getexif()
        orientation = exif.pop(ExifTags.Base.Orientation, 1)
        tags = dict(exif)
        nested = {ifd: dict(exif.get_ifd(ifd)) for ifd in _NESTED}
    except Exception as error:  # Pillow raises nearly anything of a damaged one
        left_out.append(f'EXIF, which cannot be read ({str(error)[:100] or type(error).__name__})')
        return b'', 1
    if image.format == 'TIFF':
        tags = {tag: value for tag, value in tags.items() if tag in _DESCRIPTIVE}
    kept, lost = Image.Exif(), []
    for tag, value in tags.items():
        if tag in (*_NESTED, _IFD.Interop):
            continue
        if _is_writable({tag: value}):
            kept[tag] = value
        else:
            lost.append(_name(tag))
    for ifd, values in nested.items():
        for tag, value in values.items():
            if _is_writable({tag: value}, ifd):
                kept.get_ifd(ifd)[tag] = value
            else:
                lost.append(_name(tag))
    if lost:
        left_out.append(f'EXIF of a wrong type ({", ".join(lost)[:100]})')
    is_orientation = isinstance(orientation, int) and 1 <= orientation <= 8
    return _write(kept), orientation if is_orientation else 1


def _name(tag: int) -> str:
    return ExifTags.TAGS.get(tag, str(tag))


def _is_writable(tags: Mapping[int, Any], ifd: int | None = None) -> bool:
    """Whether Pillow can write tags that it read; of wrong types it cannot."""
    trial = Image.Exif()
    (trial if ifd is None else trial.get_ifd(ifd)).update(tags)
    try:
        load_exif(_write(trial))
    except Exception:  # TypeError, AttributeError, struct.error, ...
        return False
    return True


def _write(exif: Image.Exif) -> bytes:
    data = exif.tobytes().removeprefix(b'Exif\0\0')
    return data if dict(load_exif(data)) else b''


def _read_xmp(image: ImageFile.ImageFile) -> bytes:
    found = image.info.get('xmp') or image.info.get(XMP_TEXT) or b''
    if isinstance(found, tuple):  # a TIFF's tag of a wrong type
        found = b''
    return found.encode() if isinstance(found, str) else bytes(found)


def _read_texts(image: ImageFile.ImageFile) -> dict[str, str]:
    texts = {key: str(text) for key, text in _text_items(image) if key != XMP_TEXT}
    comment = image.info.get('comment')
    if isinstance(comment, bytes) and comment:
        texts[_COMMENT] = comment.decode('utf-8', 'replace').rstrip('\0')
    return texts


def _text_items(image: ImageFile.ImageFile) -> Iterable[tuple[str, Any]]:
    texts = getattr(image, 'text', None)  # of PNGs; other formats' attributes may be anything
    return texts.items() if isinstance(texts, dict) else ()


def _read_resolution(image: ImageFile.ImageFile) -> tuple[float, float] | None:
    if image.format == 'TIFF' and ExifTags.Base.XResolution not in image.getexif():
        return None  # Pillow says 1 then
    try:
        across, down = (float(number) for number in image.info['dpi'])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    sensible = all(0 < number < 1e6 and math.isfinite(number) for number in (across, down))
    return (across, down) if sensible else None
