"""Images whose size is known at run time only, in arrays whose shape is fixed."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int


class Canvas(NamedTuple):
    """One image in the upper left of an array; what lies beyond it has no meaning.

    So that each image of a batch can be resized by its own factor in a compiled function. What
    looks over the image's edge takes the place of a pixel from `reflect_places` or `clamp_places`.

    Attributes:
      pixels: in [0, 1], the image and what lies beyond.
      height, width: of the image.
    """

    pixels: Float[Array, 'H W 3']
    height: Int[Array, '']
    width: Int[Array, '']


def fill_canvas(pixels: Float[Array, 'h w 3']) -> Canvas:
    """Returns the canvas that an image fills."""
    height, width = pixels.shape[:2]
    return Canvas(pixels, jnp.int32(height), jnp.int32(width))


def reflect_places(places: Int[Array, ' n'], size: Int[Array, '']) -> Int[Array, ' n']:
    """Returns which of `size` pixels stands at each place of their line, continued to both sides.

    In mirror image without repeating the edge (PyTorch's 'reflect'), over and over.
    """
    period = jnp.maximum(2 * (size - 1), 1)
    places = jnp.abs(places) % period
    return jnp.minimum(places, period - places)


def clamp_places(places: Int[Array, ' n'], size: Int[Array, '']) -> Int[Array, ' n']:
    """Returns which of `size` pixels stands at each place, the first and last continued."""
    return jnp.clip(places, 0, size - 1)


def take_pixels(
    pixels: Float[Array, 'H W *c'], rows: Int[Array, ' h'], columns: Int[Array, ' w']
) -> Float[Array, 'h w *c']:
    """Returns the pixels of some rows and columns, all of which must be inside."""
    pixels = jnp.take(pixels, rows, axis=0, mode='clip')
    return jnp.take(pixels, columns, axis=1, mode='clip')
