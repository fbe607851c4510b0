"""Random crops, as the steps of a Grain pipeline."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sr_jax import image_io
from sr_jax.data.augmentation import augment, random_crop
from sr_jax.data.cache import PictureCache
from sr_jax.data.rejection import none_left, too_many, usable_pixels
from sr_jax.data.settings import DataSettings
from sr_jax.data.sources import Source


class RandomCrop:
    """Picture number -> one random crop of it, or of another one when it cannot be used.

    A crop is a function of the picture number and the generator alone, so that it does not matter
    which process makes it. It comes in the picture's own precision, with the names of the
    pictures passed over and the reasons: `{'hq': ..., 'rejected': ...}`.

    Raises:
      InputError: more than `settings.max_rejected` pictures were passed over, or all of them.
    """

    def __init__(self, source: Source, settings: DataSettings):
        self._source = PictureCache(source, settings.cache_bytes)
        self._settings = settings
        self._reasons: dict[int, str] = {}  # known in this process

    def __call__(self, index: int, rng: np.random.Generator) -> dict[str, Any]:
        """Makes one element of the pipeline."""
        rejected: list[int] = []
        while (pixels := self._pixels(index)) is None:
            rejected.append(index)
            index = self._another(rejected, rng)
        crop = random_crop(pixels, self._settings.crop_size, rng)
        crop = augment(crop, rng, self._settings.flips, self._settings.rotations)
        return {'hq': crop, 'rejected': self._named(rejected)}

    def _pixels(self, index: int) -> np.ndarray | None:
        if index in self._reasons:
            return None
        try:
            return usable_pixels(self._source, index, self._settings.crop_size)
        except image_io.PictureError as error:
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
    crops, rejected = [element['hq'] for element in elements], {}
    if len({crop.dtype for crop in crops}) > 1:
        crops = [image_io.to_float(crop) for crop in crops]
    for element in elements:
        rejected.update(element['rejected'])
    return {'hq': np.stack(crops), 'rejected': rejected}


def as_float(batch: Mapping[str, Any]) -> dict[str, Any]:
    """Turns a batch of `collate` into float32 in [0, 1]."""
    return {**batch, 'hq': image_io.to_float(np.asarray(batch['hq']))}
