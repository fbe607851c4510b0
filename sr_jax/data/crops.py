"""Random crops, as the steps of a Grain pipeline."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sr_jax.config.settings import DataSettings
from sr_jax.data.augmentation import augment, random_corner
from sr_jax.data.cache import ExampleCache
from sr_jax.data.fields import Fields, cut, largest_size, unit_of
from sr_jax.data.protocol import Source
from sr_jax.data.rejection import none_left, too_many, usable_example
from sr_jax.images.decoding import ImageError

REJECTED = 'rejected'  # in an element and in a batch, beside the fields


class RandomCrop:
    """Number of an example -> one random crop of it, or of another one when it cannot be used.

    A crop is a function of the number and the generator alone, so that it does not matter which
    process makes it. Images come in their own precision, with the names of the examples passed over
    and the reasons: `{'hq': ..., 'rejected': ...}`. All parts of an example are cut at the same
    place, and turned in the same way.

    Args:
      source: of the examples.
      settings: how they are cut.
      fields: those of the source's that are wanted.

    Raises:
      InputError: more than `settings.max_rejected` examples were passed over, or all of them.
    """

    def __init__(self, source: Source, settings: DataSettings, fields: Fields):
        self._source = ExampleCache(source, settings.cache_bytes)
        self._settings = settings
        self._names = tuple(fields)
        self._reasons: dict[int, str] = {}  # known in this process

    def __call__(self, index: int, rng: np.random.Generator) -> dict[str, Any]:
        """Makes one element of the pipeline."""
        rejected: list[int] = []
        while (example := self._read_usable(index)) is None:
            rejected.append(index)
            index = self._draw_another(rejected, rng)
        fields = {name: self._source.fields[name] for name in self._names}
        size = self._settings.crop_size
        if whole := largest_size(example, fields):
            unit = unit_of(example, fields)
            top, left = random_corner((whole[0] // unit, whole[1] // unit), size // unit, rng)
            example = cut(example, fields, unit * top, unit * left, size)
        flips, rotations = self._settings.flips, self._settings.rotations
        crop = augment(example, fields, size, rng, flips, rotations)
        return {**{name: crop[name] for name in fields}, REJECTED: self._list_reasons(rejected)}

    def _read_usable(self, index: int) -> dict[str, Any] | None:
        if index in self._reasons:
            return None
        try:
            return usable_example(self._source, index, self._settings.crop_size)
        except ImageError as error:
            self._reasons[index] = error.reason
            return None

    def _draw_another(self, rejected: Sequence[int], rng: np.random.Generator) -> int:
        if len(rejected) == len(self._source):
            raise none_left(self._list_reasons(rejected))
        if len(rejected) > self._settings.max_rejected:
            raise too_many(self._list_reasons(rejected), self._settings.max_rejected)
        return int(rng.choice(np.setdiff1d(np.arange(len(self._source)), rejected)))

    def _list_reasons(self, indices: Sequence[int]) -> dict[str, str]:
        return {self._source.name(index): self._reasons[index] for index in indices}


def collate(elements: Sequence[Mapping[str, Any]], fields: Fields) -> dict[str, Any]:
    """Stacks crops, images in their own precision, which is small to send between processes."""
    rejected: dict[str, str] = {}
    for element in elements:
        rejected.update(element[REJECTED])
    batch: dict[str, Any] = {REJECTED: rejected}
    for name, field in fields.items():
        batch[name] = field.collate([element[name] for element in elements])
    return batch


def finish(batch: Mapping[str, Any], fields: Fields) -> dict[str, Any]:
    """Turns a batch of `collate` into what networks take, such as float32 images in [0, 1]."""
    finished = {name: field.finish(batch[name]) for name, field in fields.items()}
    return {**batch, **finished}
