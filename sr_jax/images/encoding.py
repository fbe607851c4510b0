"""Images to the bytes of an image file, in their precision and with what belongs to them."""

import io
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import png
from jaxtyping import UInt
from PIL import Image

from sr_jax.errors import InputError
from sr_jax.images.decoding import Layers

MAX_SIDE = {'JPEG': 65_500, 'WEBP': 16_383, 'PNG': 2**31 - 1}  # pixels, of the formats
_GRAY, _RGB = 1, 3  # channels


def encode(layers: Layers, options: Mapping[str, Any], name: str) -> bytes:
    """Encodes an image.

    Args:
      layers: what belongs to it.
      options: of Pillow's `save`, with 'format' one of PNG, JPEG and WEBP.
      name: what messages call the image.

    Raises:
      InputError: the format cannot hold it.
    """
    kind = options['format']
    height, width = layers.color.shape[:2]
    if max(height, width) > MAX_SIDE[kind]:
        raise InputError(
            f'{name}: a {kind} holds at most {MAX_SIDE[kind]} pixels a side, not '
            f'{width}x{height}: take PNG'
        )
    if kind == 'JPEG' and layers.alpha is not None:
        raise InputError(f'{name}: the image has transparency, which no JPEG can hold: take PNG')
    pixels = layers.color[..., :_GRAY] if layers.is_gray else layers.color
    if layers.alpha is not None:
        pixels = np.concatenate([pixels, layers.alpha], axis=-1)
    if pixels.dtype == np.uint16 and kind == 'PNG':
        return _encode_sixteen_bit_png(pixels, layers)
    if pixels.dtype == np.uint16:
        pixels = np.rint(pixels / 257).astype(np.uint8)
    mode = {1: 'L', 2: 'LA', 3: 'RGB', 4: 'RGBA'}[pixels.shape[-1]]
    image = Image.frombytes(mode, (width, height), np.ascontiguousarray(pixels).tobytes())
    file = io.BytesIO()
    further = {**options, 'icc_profile': layers.icc_profile}
    if len(layers.exif):
        further['exif'] = layers.exif.tobytes()
    image.save(file, **further)
    return file.getvalue()


def _encode_sixteen_bit_png(pixels: UInt[np.ndarray, 'h w c'], layers: Layers) -> bytes:
    """Encodes a PNG of 16 bits a channel, which Pillow writes of grey images only."""
    height, width, channels = pixels.shape
    file = io.BytesIO()
    writer = png.Writer(
        width, height, greyscale=channels < _RGB, alpha=channels in (2, 4), bitdepth=16
    )
    rows = pixels.astype('>u2').reshape(height, width * channels).view(np.uint8)
    writer.write_packed(file, rows)
    header, *rest = png.Reader(bytes=file.getvalue()).chunks()
    extra = []
    if layers.icc_profile:
        extra.append((b'iCCP', b'ICC Profile\0\0' + zlib.compress(layers.icc_profile)))
    if len(layers.exif):
        extra.append((b'eXIf', layers.exif.tobytes().removeprefix(b'Exif\0\0')))
    file = io.BytesIO()
    png.write_chunks(file, [header, *extra, *rest])
    return file.getvalue()
