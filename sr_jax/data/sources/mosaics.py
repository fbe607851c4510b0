"""Mosaics of patches of the embedded photographs, with the mask that tells which is where.

Each has two to five pieces, of as many photographs. A pixel belongs to the nearest of as many
points (a Voronoi diagram).
"""

from typing import Any

import numpy as np
from jaxtyping import Int

from sr_jax.config.settings import DataSettings
from sr_jax.data import patches
from sr_jax.data.fields import IMAGE, MASK

FORM = 'mosaics'
FIELDS = {'hq': IMAGE, 'segments': MASK}
PIECES = (2, 5)  # of a mosaic, at least and at most


def make(index: int, part: str, size: int, rng: np.random.Generator) -> dict[str, Any]:
    """Makes an image 'hq', uint8 [size, size, 3], and 'segments', the photograph of each pixel."""
    del index
    pieces = int(rng.integers(PIECES[0], PIECES[1] + 1))
    chosen = rng.permutation(len(patches.NAMES))[:pieces]
    place = divide(size, pieces, rng)
    layers = np.stack([patches.patch(int(i), part, size, rng) for i in chosen])
    image = np.take_along_axis(layers, place[None, :, :, None], axis=0)[0]
    return {'hq': image, 'segments': chosen[place]}


def divide(size: int, pieces: int, rng: np.random.Generator) -> Int[np.ndarray, 'size size']:
    """Returns which of some points at random each pixel of a square is nearest to."""
    points = rng.random((pieces, 2)) * size
    rows, columns = np.indices((size, size)) + 0.5
    across = [(rows - y) ** 2 + (columns - x) ** 2 for y, x in points]
    return np.argmin(across, axis=0)


def open_part(rest: str, part: str, settings: DataSettings) -> patches.Made:
    """Opens the mosaics of a part: see `sr_jax.data.sources`."""
    del rest
    classes = {'segments': patches.TITLES}
    return patches.Made('mosaics', FIELDS, part, settings.crop_size, make, classes)
