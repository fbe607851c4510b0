"""Gaussian noise for a whole image, of which any part can be drawn by itself."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from sr_jax import models
from sr_jax.errors import InputError
from sr_jax.inference.options import check_options
from sr_jax.inference.tiles import Tile
from sr_jax.models.protocols import Enlarger, Sampler, Shape

BLOCK = 32  # pixels along a side that share a generator


def noise(
    seed: Sequence[int], start: tuple[int, int], shape: tuple[int, int, int]
) -> Float[np.ndarray, 'h w c']:
    """A part of a field of independent standard normal numbers that goes on without an end.

    Parts that overlap agree where they do, so that an image made in parts has one latent.

    Args:
      seed: of the field, numbers of at least 0.
      start: the part's first row and column in the field.
      shape: of the part; fields of different numbers of channels are different.

    Returns:
      The part, float32.
    """
    height, width, channels = shape
    (top, left), bottom, right = start, start[0] + height, start[1] + width
    part = np.empty(shape, np.float32)
    for row in range(top // BLOCK, -(-bottom // BLOCK)):
        for column in range(left // BLOCK, -(-right // BLOCK)):
            generator = np.random.default_rng([*seed, row, column])
            block = generator.standard_normal((BLOCK, BLOCK, channels), np.float32)
            first, second = row * BLOCK, column * BLOCK
            rows = slice(max(top, first), min(bottom, first + BLOCK))
            columns = slice(max(left, second), min(right, second + BLOCK))
            part[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] = (
                block[
                    rows.start - first : rows.stop - first,
                    columns.start - second : columns.stop - second,
                ]
            )
    return part


class Drawing(NamedTuple):
    """With what latents windows are enlarged: parts of one field for each whole image.

    Attributes:
      shapes: [height, width, channels] of each of the latents of a window of such a height and
        width; none of a network that draws nothing.
      temperature: their standard deviation.
      seed: of the fields.
    """

    shapes: Callable[[int, int], list[Shape]]
    temperature: float
    seed: int

    def draw(
        self, parts: Sequence[Tile], window: tuple[int, int], count: int, sample: int
    ) -> list[Float[np.ndarray, 'count _ _ _']]:
        """The latents of some windows of an image, zeros for those that are missing to `count`.

        Args:
          parts: the windows.
          window: their height and width.
          count: how many the network is given.
          sample: which of the images that can be drawn.
        """
        drawn = []
        height, width = window
        for i, shape in enumerate(self.shapes(height, width)):
            level = np.zeros((count, *shape), np.float32)
            for j, part in enumerate(parts):
                row = part.rows.start * shape[0] // height
                column = part.columns.start * shape[1] // width
                field = (self.seed, sample, i)
                level[j] = self.temperature * noise(field, (row, column), shape)
            drawn.append(level)
        return drawn


def make_drawing(module: Enlarger, temperature: float, seed: int, source: str) -> Drawing:
    """How a network's latents are drawn.

    Args:
      module: the network.
      temperature: of the latents; 0: they are all zero, and none are drawn.
      seed: of the latents.
      source: what messages call the network.

    Raises:
      InputError: either number is negative, or the network draws nothing.
    """
    check_options(temperature=temperature, seed=seed)
    if not temperature:
        return Drawing(lambda height, width: [], temperature, seed)
    if not isinstance(module, Sampler):
        raise InputError(
            f'{source}: this network gives one image only, so there is no temperature to set; a '
            f'flow ({", ".join(models.names(Sampler))}) draws many'
        )
    return Drawing(module.latent_shapes, temperature, seed)
