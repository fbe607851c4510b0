"""Random crops, as the steps of a Grain pipeline."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sr_jax.config.settings import DataSettings
from sr_jax.data.augmentation import augment, random_corner
from sr_jax.data.cache import ImageCache
from sr_jax.data.pairs import ImagePairs
from sr_jax.data.protocol import Source
from sr_jax.data.rejection import none_left, too_many, usable_images
from sr_jax.images.decoding import ImageError, to_float

KINDS = ('hq', 'lq')  # of images, in an element and in a batch


class RandomCrop:
    """Image number -> one random crop of it, or of another one when it cannot be used.

    A crop is a function of the image number and the generator alone, so that it does not matter
    which process makes it. It comes in the image's own precision, with the names of the
    images passed over and the reasons: `{'hq': ..., 'rejected': ...}`. Of a pair the same part
    of the small image comes with it as 'lq', turned in the same way.

    Raises:
      InputError: more than `settings.max_rejected` images were passed over, or all of them.
    """

    def __init__(self, source: Source, settings: DataSettings):
        self._source = _cached(source, settings.cache_bytes)
        self._settings = settings
        self._reasons: dict[int, str] = {}  # known in this process

    def __call__(self, index: int, rng: np.random.Generator) -> dict[str, Any]:
        """Makes one element of the pipeline."""
        rejected: list[int] = []
        while (images := self._images(index)) is None:
            rejected.append(index)
            index = self._another(rejected, rng)
        unit, size = unit_of(images), self._settings.crop_size
        height, width = images['hq'].shape[:2]
        top, left = random_corner((height // unit, width // unit), size // unit, rng)
        crops = cut(images, top, left, size)
        draws = rng.bit_generator.state
        for name, crop in crops.items():
            rng.bit_generator.state = draws  # the same ones for both of a pair
            crops[name] = augment(crop, rng, self._settings.flips, self._settings.rotations)
        return {**crops, 'rejected': self._named(rejected)}

    def _images(self, index: int) -> dict[str, np.ndarray] | None:
        if index in self._reasons:
            return None
        try:
            return usable_images(self._source, index, self._settings.crop_size)
        except ImageError as error:
            self._reasons[index] = error.reason
            return None

    def _another(self, rejected: Sequence[int], rng: np.random.Generator) -> int:
        if len(rejected) == len(self._source):
            raise none_left(self._named(rejected))
        if len(rejected) > self._settings.max_rejected:
            raise too_many(self._named(rejected), self._settings.max_rejected)
        return int(rng.choice(np.setdiff1d(np.arange(len(self._source)), rejected)))

    def _named(self, indices: Sequence[int]) -> dict[str, str]:
        return {self._source.name(index): self._reasons[index] for index in indices}


def collate(elements: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Stacks crops in their own precision, which is small to send between processes."""
    rejected: dict[str, str] = {}
    for element in elements:
        rejected.update(element['rejected'])
    batch: dict[str, Any] = {'rejected': rejected}
    for name in _kinds_in(elements[0]):
        crops = [element[name] for element in elements]
        if len({crop.dtype for crop in crops}) > 1:
            crops = [to_float(crop) for crop in crops]
        batch[name] = np.stack(crops)
    return batch


def as_float(batch: Mapping[str, Any]) -> dict[str, Any]:
    """Turns a batch of `collate` into float32 in [0, 1]."""
    floats = {name: to_float(np.asarray(batch[name])) for name in _kinds_in(batch)}
    return {**batch, **floats}


def _kinds_in(images: Mapping[str, Any]) -> list[str]:
    return [name for name in KINDS if name in images]


def unit_of(images: Mapping[str, np.ndarray]) -> int:
    """Returns how many pixels of the true image make one of the small one; 1 without it."""
    return images['hq'].shape[0] // images['lq'].shape[0] if 'lq' in images else 1


def cut(
    images: Mapping[str, np.ndarray], top: int, left: int, size: int
) -> dict[str, np.ndarray]:
    """Cuts the same square out of the true image and, if there is one, the small one; views.

    Args:
      images: 'hq', and 'lq' of a pair.
      top: where it begins, in the pixels of the small image if there is one.
      left: likewise.
      size: in pixels of the true image.
    """
    unit = unit_of(images)
    crops = {}
    for name, pixels in images.items():
        factor = unit if name == 'hq' else 1
        rows = slice(factor * top, factor * (top + size // unit))
        columns = slice(factor * left, factor * (left + size // unit))
        crops[name] = pixels[rows, columns]
    return crops


def _cached(source: Source, limit: int) -> Source:
    """Returns the source with its images kept up to a number of bytes; pairs share it."""
    if not isinstance(source, ImagePairs):
        return ImageCache(source, limit)
    small = limit // (source.scale**2 + 1)
    hq, lq = ImageCache(source.hq, limit - small), ImageCache(source.lq, small)
    return ImagePairs(hq, lq, source.scale)
