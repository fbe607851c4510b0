"""Patches of the embedded photographs, of which labelled images are made without a download.

Each photograph is cut in two by upright lines: patches to train on come from its left part, those
to validate on from its right part, with a strip between them that is in neither.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import UInt8

from sr_jax.data.fields import Fields
from sr_jax.data.sources import photos
from sr_jax.errors import InputError

# The second motorcycle shows the scene of the first one: nobody could tell them apart.
NAMES = tuple(
    name for part in photos.PARTS.values() for name in part if 'motorcycle_right' not in name
)
TITLES = tuple(name.split('/')[1].split('.')[0] for name in NAMES)
# Shares of the width that a part begins and ends at.
STRIPS = {'train': (0.0, 0.62), 'validation': (0.68, 1.0)}
SEEDS = {'train': 0, 'validation': 1}
COUNTS = {'train': 4096, 'validation': 1024}  # examples that are made of them


@functools.cache
def photographs() -> dict[str, UInt8[np.ndarray, '_ _ 3']]:
    """Returns the photographs by name; raises `InputError` when one is missing."""
    sources = [photos.open_photos(part) for part in photos.PARTS]
    found = {s.name(i): s.pixels(i) for s in sources for i in range(len(s))}
    return {name: found[name] for name in NAMES}


@functools.cache
def strip(photograph: int, part: str) -> UInt8[np.ndarray, '_ _ 3']:
    """Returns what of a photograph is in a part."""
    pixels = photographs()[NAMES[photograph]]
    begin, end = (int(share * pixels.shape[1]) for share in STRIPS[part])
    return pixels[:, begin:end]


def check_size(size: int, what: str) -> None:
    """Raises InputError unless a patch of a size can be cut from every photograph."""
    most = min(min(strip(i, part).shape[:2]) for i in range(len(NAMES)) for part in STRIPS)
    if size > most:
        raise InputError(
            f'config.data.crop_size={size}: {what} are cut from photographs that leave {most} '
            'pixels a side'
        )


def patch(
    photograph: int, part: str, size: int, rng: np.random.Generator
) -> UInt8[np.ndarray, 'size size 3']:
    """Returns a square of a photograph's part, every position alike."""
    pixels = strip(photograph, part)
    top, left = (int(rng.integers(side - size + 1)) for side in pixels.shape[:2])
    return pixels[top : top + size, left : left + size]


class Made:
    """Examples that are made as they are asked for, each a function of its number alone.

    Args:
      kind: what messages call them.
      fields: of which kind each part of an example is, by key.
      part: 'train' or 'validation'.
      size: side of the images in pixels.
      make: (number, part, size, generator) -> the example; a function of a module, since worker
        processes are sent it.
      classes: by the key of a part of an example, the names of its classes.

    Raises:
      InputError: the photographs are smaller than that.
    """

    def __init__(
        self,
        kind: str,
        fields: Fields,
        part: str,
        size: int,
        make: Callable,
        classes: Mapping[str, Sequence[str]],
    ):
        check_size(size, kind)
        self.fields = fields
        self.classes = classes
        self._kind, self._part, self._size, self._make = kind, part, size, make

    def __len__(self) -> int:
        return COUNTS[self._part]

    def name(self, index: int) -> str:
        """Returns what messages call the example."""
        return f'{self._kind}/{self._part}[{index}]'

    def example(self, index: int) -> dict[str, Any]:
        """Returns the example."""
        rng = np.random.default_rng((SEEDS[self._part], index))
        example: dict[str, Any] = self._make(index, self._part, self._size, rng)
        return example
