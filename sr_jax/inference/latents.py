"""Gaussian noise for a whole image, of which any part can be drawn by itself."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

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
