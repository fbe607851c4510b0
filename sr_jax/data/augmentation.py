"""Random crops, mirror images and quarter turns of examples."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from sr_jax.data.fields import Example, Fields


def random_corner(shape: Sequence[int], size: int, rng: np.random.Generator) -> tuple[int, int]:
    """Returns the upper left corner of a square in an image of a shape, every position alike."""
    top = int(rng.integers(shape[0] - size + 1))
    left = int(rng.integers(shape[1] - size + 1))
    return top, left


def augment(
    example: Example,
    fields: Fields,
    size: int,
    rng: np.random.Generator,
    flips: bool,
    rotations: bool,
) -> dict[str, Any]:
    """Returns a square example mirrored left to right with probability one half, and turned by 0,
    90, 180 or 270 degrees, each alike, as far as is switched on; all its parts in the same way.

    Both together give all eight symmetries of the square.

    Args:
      example: by key.
      fields: of its keys.
      size: side of the square, in pixels of its largest value.
      rng: what is drawn from.
      flips: whether it may be mirrored.
      rotations: whether it may be turned.
    """
    example = dict(example)
    mirrored = bool(flips and rng.integers(2))
    turns = int(rng.integers(4)) if rotations else 0
    for name, field in fields.items():
        if mirrored:
            example[name] = field.flip(example[name], size)
        if turns:
            example[name] = field.rotate(example[name], size, turns)
    return example
