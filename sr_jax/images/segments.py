"""Masks of classes in colors."""

import io
import pathlib

import numpy as np
from jaxtyping import Float, Int
from PIL import Image

from sr_jax.errors import InputError
from sr_jax.images.atomic import write
from sr_jax.images.decoding import to_uint8
from sr_jax.images.selector_map import palette

MAX_CLASSES = 256  # of a PNG with a palette
OPACITY = 0.55  # of a mask on an image
WHITE = 1.0  # of pixels of no class


def paint(
    segments: Int[np.ndarray, '*batch h w'], classes: int
) -> Float[np.ndarray, '*batch h w 3']:
    """Returns a color for each class, in [0, 1]; pixels of no class are white."""
    colors = np.concatenate([palette(classes), np.full((1, 3), WHITE, np.float32)])
    known = (segments >= 0) & (segments < classes)
    return colors[np.where(known, segments, classes)]


def overlay(
    images: Float[np.ndarray, '*batch h w 3'], segments: Int[np.ndarray, '*batch h w'], classes: int
) -> Float[np.ndarray, '*batch h w 3']:
    """Returns images in [0, 1] with their masks in color upon them."""
    return (1 - OPACITY) * images + OPACITY * paint(segments, classes)


def save_mask(path: pathlib.Path, segments: Int[np.ndarray, 'h w'], classes: int) -> None:
    """Writes a PNG whose pixels are the numbers of the classes, shown in the colors of `paint`.

    Raises:
      InputError: there are more classes than such a file has, or it cannot be written.
    """
    if classes > MAX_CLASSES:
        raise InputError(f'{path}: a PNG has {MAX_CLASSES} classes at most, not {classes}')
    image = Image.fromarray(segments.astype(np.uint8))
    image.putpalette(to_uint8(palette(classes)).tobytes())
    file = io.BytesIO()
    image.save(file, 'PNG')
    write(path, file.getvalue())
