"""Random crops, mirror images and quarter turns of numpy images, in any precision."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Num


def random_corner(shape: Sequence[int], size: int, rng: np.random.Generator) -> tuple[int, int]:
    """Returns the upper left corner of a square in an image of a shape, every position alike."""
    top = int(rng.integers(shape[0] - size + 1))
    left = int(rng.integers(shape[1] - size + 1))
    return top, left


def random_flip(
    pixels: Num[np.ndarray, 'h w c'], rng: np.random.Generator
) -> Num[np.ndarray, 'h w c']:
    """Mirrors an image left to right with probability one half; a view."""
    return pixels[:, ::-1] if rng.integers(2) else pixels


def random_rotation(
    pixels: Num[np.ndarray, 'size size c'], rng: np.random.Generator
) -> Num[np.ndarray, 'size size c']:
    """Turns an image by 0, 90, 180 or 270 degrees, each alike; a view."""
    return np.rot90(pixels, int(rng.integers(4)))


def augment(
    pixels: Num[np.ndarray, 'size size c'],
    rng: np.random.Generator,
    flips: bool,
    rotations: bool,
) -> Num[np.ndarray, 'size size c']:
    """Applies what is switched on; both together give all eight symmetries of the square."""
    if flips:
        pixels = random_flip(pixels, rng)
    if rotations:
        pixels = random_rotation(pixels, rng)
    return pixels
