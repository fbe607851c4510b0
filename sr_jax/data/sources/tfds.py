"""Datasets of TensorFlow Datasets, read without TensorFlow."""

import difflib
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from jaxtyping import Float, Num

from sr_jax.config.settings import DataSettings
from sr_jax.data import annotations
from sr_jax.data.fields import IMAGE, Fields
from sr_jax.errors import InputError
from sr_jax.images.decoding import decode, to_float

FORM = 'tfds:<name>'
FIELDS = {'hq': IMAGE}  # at least; and those of `annotations.KINDS` that a dataset has
# The parts to validate on, the best first.
_VALIDATION_SPLITS = ('validation', 'test')


def open_part(rest: str, part: str, settings: DataSettings) -> 'TfdsImages':
    """Opens a dataset: see `sr_jax.data.sources`."""
    del settings
    return TfdsImages(rest, part)


class TfdsImages:
    """The images of one part of a prepared dataset, as a random-access sequence.

    They are decoded by the rule of `sr_jax.images.files`. A pickled copy opens the files anew.

    Args:
      name: as TFDS has it: 'imagenet2012', 'mnist', 'my_set/my_config:1.0.0'. The folder is the
        one of TFDS: `TFDS_DATA_DIR`, else `~/tensorflow_datasets`. Of a dataset with several
        images to an example it may say which: 'div2k@hr'; otherwise the target of supervised
        learning is taken.
      part: 'train', the split of that name; or 'validation', the split 'validation', or 'test'
        where there is none.

    Raises:
      InputError: no such dataset, it is not prepared or not for random access, it has no such
        split, or no images.
    """

    def __init__(self, name: str, part: str):
        self._name, _, feature = name.partition('@')
        builder = _open_builder(self._name)
        self._split = _choose_split(builder, self._name, part)
        self._feature = _choose_image(builder, self._name, feature)
        self._annotations = annotations.find(builder, self._feature)
        self._records: Sequence[dict[str, Any]] | None = _open_records(
            builder, self._name, self._split
        )

    @property
    def fields(self) -> Fields:
        """Of which kind each part of an example is, by key."""
        kinds = {key: annotations.KINDS[key].field for key in self._annotations}
        return {**FIELDS, **kinds}

    @property
    def classes(self) -> dict[str, tuple[str, ...]]:
        """By the key of a part of an example, the names of its classes, where they are told."""
        return {key: found.classes for key, found in self._annotations.items() if found.classes}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, '_records': None}

    def __len__(self) -> int:
        return len(self._open())

    def name(self, index: int) -> str:
        """Returns what messages call the image."""
        return f'{self._name}/{self._split}[{index}]'

    def example(self, index: int) -> dict[str, Any]:
        """Returns the image as `{'hq': pixels}`, and what else is known of it: its 'label', the
        class of each pixel 'segments', its 'boxes'. Raises `ImageError` when something is wrong."""
        record, name = self._open()[index], self.name(index)
        pixels = decode(record[self._feature], name)
        example: dict[str, Any] = {'hq': pixels}
        for key, found in self._annotations.items():
            value = record[found.feature]
            example[key] = annotations.KINDS[key].read(value, found, pixels.shape[:2], name)
        return example

    def pixels(self, index: int) -> Num[np.ndarray, 'h w 3']:
        """Returns the image in its own precision; raises `ImageError` when it is broken."""
        return decode(self._open()[index][self._feature], self.name(index))

    def __getitem__(self, index: int) -> Float[np.ndarray, 'h w 3']:
        """Returns the image as float32 in [0, 1]."""
        return to_float(self.pixels(index))

    def _open(self) -> Sequence[dict[str, Any]]:
        if self._records is None:
            builder = _open_builder(self._name)
            self._records = _open_records(builder, self._name, self._split)
        return self._records


def _open_builder(name: str) -> tfds.core.DatasetBuilder:
    try:
        builder = tfds.builder(name, data_dir=os.environ.get('TFDS_DATA_DIR'))
    except tfds.core.DatasetNotFoundError as error:
        known = tfds.list_builders(with_community_datasets=False)
        nearest = difflib.get_close_matches(name, known, n=1)
        guess = f'; did you mean {nearest[0]!r}?' if nearest else ''
        raise InputError(f'TensorFlow Datasets knows no dataset {name!r}{guess}') from error
    except (ValueError, AssertionError, ImportError) as error:
        raise InputError(f'the dataset tfds:{name} cannot be opened: {error}') from error
    if not builder.info.splits:
        raise InputError(
            f'the dataset tfds:{name} is not prepared in {builder.data_path}; prepare it once '
            f'where TensorFlow is installed, with: {_prepare_command(name)}'
        )
    return builder


def _prepare_command(name: str) -> str:
    return f'tfds build {name} --file_format=array_record'


def _choose_split(builder: tfds.core.DatasetBuilder, name: str, part: str) -> str:
    wanted = ('train',) if part == 'train' else _VALIDATION_SPLITS
    for split in wanted:
        if split in builder.info.splits:
            return split
    remedy = '' if part == 'train' else '; set config.data.validation_source'
    raise InputError(
        f'the dataset tfds:{name} has no split {" or ".join(map(repr, wanted))}, but '
        f'{", ".join(map(repr, builder.info.splits))}{remedy}'
    )


def _choose_image(builder: tfds.core.DatasetBuilder, name: str, wanted: str) -> str:
    """Returns the feature that is the image: the wanted, the only, the supervised one, or the only
    one in color."""
    features = dict(builder.info.features.items())
    images = sorted(k for k, kind in features.items() if isinstance(kind, tfds.features.Image))
    if wanted in images or (len(images) == 1 and not wanted):
        return wanted or images[0]
    supervised = [key for key in builder.info.supervised_keys or () if key in images]
    if supervised and not wanted:
        return supervised[-1]
    colored = [key for key in images if features[key].shape[-1] != 1]  # the others are masks
    if len(colored) == 1 and not wanted:
        return colored[0]
    if not images:
        raise InputError(
            f'the dataset tfds:{name} has no images, but {", ".join(map(repr, sorted(features)))}'
        )
    raise InputError(
        f'the dataset tfds:{name} has the images {", ".join(map(repr, images))}'
        + (f', and none called {wanted!r}' if wanted else '')
        + f': say which, as in tfds:{name}@{images[0]}'
    )


def _open_records(
    builder: tfds.core.DatasetBuilder, name: str, split: str
) -> Sequence[dict[str, Any]]:
    """Opens a split for random access; its images come encoded, as they are on the disk."""
    encoded = [
        feature
        for feature, kind in builder.info.features.items()
        if isinstance(kind, tfds.features.Image)
    ]
    decoders = {feature: tfds.decode.SkipDecoding() for feature in encoded}
    try:
        records: Sequence[dict[str, Any]] = builder.as_data_source(split, decoders=decoders)
    except NotImplementedError as error:
        raise InputError(
            f'the dataset tfds:{name} in {builder.data_path} is not prepared for random access; '
            f'prepare it again in another folder, with: {_prepare_command(name)} '
            '--data_dir=<folder>, and set TFDS_DATA_DIR to that folder'
        ) from error
    return records
