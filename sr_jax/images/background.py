"""A colour behind what is transparent."""

import numpy as np
from PIL import ImageColor

from sr_jax.errors import InputError
from sr_jax.images.decoding import Layers, from_float, to_float


def parse_color(name: str) -> tuple[int, int, int]:
    """Returns the levels, of 256, of a colour by its name or its number ('#rrggbb').

    Raises `InputError` for a colour that is not known.
    """
    try:
        return ImageColor.getrgb(name)[:3]
    except ValueError as error:
        raise InputError(
            f"{name!r} is no colour: take a name such as 'white', or '#rrggbb'"
        ) from error


def lay_over(layers: Layers, color: tuple[int, int, int]) -> Layers:
    """Returns an image laid over a colour, without transparency, in its precision."""
    if layers.alpha is None:
        return layers
    opacity = to_float(layers.alpha)
    behind = np.asarray(color, np.float32) / 255
    pixels = to_float(layers.color) * opacity + behind * (1 - opacity)
    is_gray = layers.is_gray and len(set(color)) == 1
    return layers._replace(
        color=from_float(pixels, layers.color.dtype), alpha=None, is_gray=is_gray
    )
