"""Images to the bytes of an image file, in their precision and with what belongs to them."""

import io
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import png
import tifffile
from jaxtyping import UInt
from PIL import Image, PngImagePlugin

from sr_jax.errors import InputError
from sr_jax.images import formats, metadata
from sr_jax.images.decoding import Layers, Timing
from sr_jax.images.formats import QUALITY, Format
from sr_jax.images.metadata import Metadata

_GRAY, _RGB = 1, 3  # channels
_OPAQUE = 128  # of 256 levels: from there a pixel of a GIF, which knows no others, is opaque
_CLEAR = 2  # a GIF's way to leave a frame: what it covered becomes transparent
_XMP_TAG = 700  # of a TIFF
_MOST_CLASSIC_TIFF = 2**32 - 2**25  # bytes of pixels


class Encoding(NamedTuple):
    """How images are written where a format leaves the choice.

    Attributes:
      quality: from 1 to 100, of JPEG, WebP and AVIF; None: 95, of AVIF 90.
      lossless: of WebP: every pixel as it is.
    """

    quality: int | None = None
    lossless: bool = False


USUAL = Encoding()


def left_out(layers: Layers, form: Format) -> tuple[str, ...]:
    """What is said of an image and will not be in a file of that format, for a person."""
    return metadata.for_format(layers.metadata, form.name, layers.color.shape[:2]).left_out


def check(
    form: Format,
    size: tuple[int, int],
    name: str,
    *,
    has_alpha: bool = False,
    frames: int = 1,
    pages: int = 1,
) -> None:
    """Raises `InputError`, which calls the image `name`, for what a format cannot hold.

    Args:
      form: the format.
      size: height and width.
      name: of the file.
      has_alpha: whether some of it is transparent.
      frames: of an animation.
      pages: of a TIFF.
    """
    height, width = size
    if max(height, width) > form.max_side:
        others = max(height, width) <= formats.WRITTEN['.png'].max_side
        remedy = 'take PNG' if others else 'no format holds more; take a smaller --outscale'
        raise InputError(
            f'{name}: a {form.name} holds at most {form.max_side} pixels a side, not '
            f'{width}x{height}: {remedy}'
        )
    if has_alpha and not form.has_alpha:
        raise InputError(
            f'{name}: the image has transparency, which no {form.name} can hold: take PNG, or say '
            'what is to be behind it (--background white)'
        )
    if frames > 1 and not form.animates:
        raise InputError(
            f'{name}: an animation of {frames} frames, which no {form.name} can hold: take one of '
            f'{formats.suffixes(animates=True)}'
        )
    if pages > 1 and not form.has_pages:
        raise InputError(
            f'{name}: {pages} pages, and a {form.name} holds one: take one of '
            f'{formats.suffixes(has_pages=True)}'
        )


def encode(layers: Layers, form: Format, name: str, how: Encoding = USUAL) -> bytes:
    """Encodes an image.

    Args:
      layers: what belongs to it.
      form: the format.
      name: what messages call the image.
      how: what the format leaves open.

    Raises:
      InputError: the format cannot hold it.
    """
    return encode_pages([layers], form, name, how)


def encode_pages(
    pages: Sequence[Layers], form: Format, name: str, how: Encoding = USUAL
) -> bytes:
    """Encodes images of any sizes as the pages of one file; see `encode`."""
    for layers in pages:
        size, has_alpha = layers.color.shape[:2], layers.alpha is not None
        check(form, size, name, has_alpha=has_alpha, pages=len(pages))
    if form.name == 'TIFF':
        return _encode_tiff(pages)
    pixels = _stack_channels(pages[0])
    found = metadata.for_format(pages[0].metadata, form.name, pixels.shape[:2])
    if pixels.dtype == np.uint16 and form.is_deep:
        return _encode_sixteen_bit_png(pixels, found)
    file = io.BytesIO()
    options = {**_make_options(form, how), **_describe(found, form.name)}
    _make_image(_round_to_eight_bits(pixels), form).save(file, form.name, **options)
    return file.getvalue()


def encode_animation(
    frames: Sequence[Layers], timing: Timing, form: Format, name: str, how: Encoding = USUAL
) -> bytes:
    """Encodes frames of one size as an animation; see `encode`."""
    size = frames[0].color.shape[:2]
    has_alpha = any(frame.alpha is not None for frame in frames)
    check(form, size, name, has_alpha=has_alpha, frames=len(frames))
    is_gray = all(frame.is_gray for frame in frames)
    images = []
    for frame in frames:
        alike = frame._replace(is_gray=is_gray, alpha=_fill_alpha(frame) if has_alpha else None)
        images.append(_make_image(_round_to_eight_bits(_stack_channels(alike)), form))
    found = metadata.for_format(frames[0].metadata, form.name, size)
    options = {**_make_options(form, how), **_describe(found, form.name)}
    if form.name != 'GIF':
        options['loop'] = timing.plays
    elif timing.plays != 1:
        options['loop'] = max(timing.plays - 1, 0)  # a GIF counts the repetitions
    if form.name == 'GIF' and has_alpha:
        options['disposal'] = _CLEAR
    durations = [round(duration) for duration in timing.durations]
    file = io.BytesIO()
    images[0].save(
        file, form.name, save_all=True, append_images=images[1:], duration=durations, **options
    )
    return file.getvalue()


def _make_options(form: Format, how: Encoding) -> dict[str, Any]:
    """Pillow's options for a format and what was asked of it."""
    options = dict(form.options)
    if form.has_quality:
        options['quality'] = how.quality or QUALITY[form.name]
    if form.name == 'WEBP' and how.lossless:
        options |= {'lossless': True, 'exact': True, 'quality': 100}
    return options


def _describe(found: Metadata, kind: str) -> dict[str, Any]:
    """Pillow's options for what is said of an image in a format that can hold it."""
    options: dict[str, Any] = {'icc_profile': found.icc_profile}
    if found.exif:
        options['exif'] = b'Exif\0\0' + found.exif
    if found.resolution and kind in ('PNG', 'JPEG'):
        options['dpi'] = found.resolution
    if kind == 'PNG':
        options['pnginfo'] = _make_texts(found)
    elif found.xmp:
        options['xmp'] = found.xmp
    if comment := metadata.comment_of(found):
        options['comment'] = comment
    return options


def _make_texts(found: Metadata) -> PngImagePlugin.PngInfo:
    texts = PngImagePlugin.PngInfo()
    for key, text in found.texts.items():
        texts.add_itxt(key, text)
    if found.xmp:
        texts.add_itxt(metadata.XMP_TEXT, found.xmp.decode('utf-8', 'replace'))
    return texts


def _stack_channels(layers: Layers) -> UInt[np.ndarray, 'h w c']:
    """The channels of an image as they are written: one or three of colour, and opacity."""
    pixels = layers.color[..., :_GRAY] if layers.is_gray else layers.color
    if layers.alpha is not None:
        pixels = np.concatenate([pixels, layers.alpha], axis=-1)
    return pixels


def _fill_alpha(layers: Layers) -> UInt[np.ndarray, 'h w 1']:
    color = layers.color
    opaque = np.full((*color.shape[:2], 1), np.iinfo(color.dtype).max, color.dtype)
    return opaque if layers.alpha is None else layers.alpha


def _round_to_eight_bits(pixels: UInt[np.ndarray, 'h w c']) -> UInt[np.ndarray, 'h w c']:
    return np.rint(pixels / 257).astype(np.uint8) if pixels.dtype == np.uint16 else pixels


def _make_image(pixels: UInt[np.ndarray, 'h w c'], form: Format) -> Image.Image:
    """Pillow's image of pixels of 8 bits."""
    if form.name == 'GIF' and pixels.shape[-1] in (2, 4):
        opaque = np.where(pixels[..., -1:] < _OPAQUE, np.uint8(0), np.uint8(255))
        pixels = np.concatenate([pixels[..., :-1], opaque], axis=-1)
    mode = {1: 'L', 2: 'LA', 3: 'RGB', 4: 'RGBA'}[pixels.shape[-1]]
    size = (pixels.shape[1], pixels.shape[0])
    image = Image.frombytes(mode, size, np.ascontiguousarray(pixels).tobytes())
    # libavif 1.4 rounds the chroma of RGB down, half a level on average, but not that of RGBA; an
    # alpha that is opaque everywhere is not written.
    with_alpha = {'GIF': ('LA',), 'WEBP': ('LA',), 'AVIF': ('RGB',)}
    return image.convert('RGBA') if mode in with_alpha.get(form.name, ()) else image


def _encode_sixteen_bit_png(pixels: UInt[np.ndarray, 'h w c'], found: Metadata) -> bytes:
    """Encodes a PNG of 16 bits a channel, which Pillow writes of grey images only."""
    height, width, channels = pixels.shape
    file = io.BytesIO()
    writer = png.Writer(
        width, height, greyscale=channels < _RGB, alpha=channels in (2, 4), bitdepth=16
    )
    rows = pixels.astype('>u2').reshape(height, width * channels).view(np.uint8)
    writer.write_packed(file, rows)
    header, *rest = png.Reader(bytes=file.getvalue()).chunks()
    # What Pillow would write between the header and the pixels, from an image of one pixel.
    model = io.BytesIO()
    Image.new('L', (1, 1)).save(model, 'PNG', **_describe(found, 'PNG'))
    kept = (b'iCCP', b'pHYs', b'tEXt', b'zTXt', b'iTXt', b'eXIf')
    extra = [chunk for chunk in png.Reader(bytes=model.getvalue()).chunks() if chunk[0] in kept]
    file = io.BytesIO()
    png.write_chunks(file, [header, *extra, *rest])
    return file.getvalue()


def _encode_tiff(pages: Sequence[Layers]) -> bytes:
    """Encodes a TIFF of one or more pages, losslessly compressed.

    Grey with transparency becomes RGB with it: of 16 bits Pillow reads no other.
    """
    file = io.BytesIO()
    with tifffile.TiffWriter(file, bigtiff=_needs_big(pages)) as writer:
        for layers in pages:
            is_gray = layers.is_gray and layers.alpha is None
            pixels = _stack_channels(layers._replace(is_gray=is_gray))
            found = metadata.for_format(layers.metadata, 'TIFF', pixels.shape[:2])
            writer.write(
                pixels[..., 0] if is_gray else pixels,
                photometric='minisblack' if is_gray else 'rgb',
                extrasamples=['unassalpha'] if layers.alpha is not None else None,
                planarconfig=None if is_gray else 'contig',
                compression='zlib',
                predictor=True,
                resolution=found.resolution,
                resolutionunit='inch' if found.resolution else None,
                iccprofile=found.icc_profile,
                extratags=_make_tags(found),
                software=False,
                metadata=None,
            )
    return file.getvalue()


def _needs_big(pages: Sequence[Layers]) -> bool:
    """Whether a TIFF may pass the 4 GiB that its usual form can address."""
    count = sum(_stack_channels(layers).nbytes for layers in pages)
    return count > _MOST_CLASSIC_TIFF


def _make_tags(found: Metadata) -> list[tuple[int, str, int, Any, bool]]:
    """A TIFF's tags of what is said of an image, as tifffile takes them."""
    tags: list[tuple[int, str, int, Any, bool]] = []
    for tag, value in sorted(metadata.load_exif(found.exif).items()):
        if isinstance(value, str) and value.isascii():
            tags.append((tag, 's', 0, value, True))
    if found.xmp:
        tags.append((_XMP_TAG, 'B', len(found.xmp), found.xmp, True))
    return tags
