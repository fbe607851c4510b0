"""Codes of images that `sr-jax extract-codes` has written: whole examples, which are not cut."""

import pathlib
from typing import Any

import grain

from sr_jax.config.settings import DataSettings
from sr_jax.data.code_shards import Description, read_description, read_record
from sr_jax.data.fields import CODES, LABEL, Fields
from sr_jax.errors import InputError
from sr_jax.images.decoding import ImageError

FORM = 'codes:<folder>'
FIELDS = {'top': CODES, 'bottom': CODES}  # at least; where there are classes, 'label' too


class Codes:
    """A random-access sequence of codes.

    Args:
      folder: of the shards.
      part: 'train' or 'validation'.
      description: of the folder.

    Raises:
      InputError: a shard is missing, or the part is empty.
    """

    def __init__(self, folder: pathlib.Path, part: str, description: Description):
        self._description = description
        self._name = f'{folder}/{part}'
        paths = sorted(str(path) for path in folder.glob(f'{part}-*.array_record'))
        if not paths:
            raise InputError(f'{folder}: no codes of the part {part!r}: extract them anew')
        self._records = grain.sources.ArrayRecordDataSource(paths)
        if len(self._records) != description.counts[part]:
            raise InputError(
                f'{folder}: {len(self._records)} codes of the part {part!r}, not '
                f'{description.counts[part]}: a shard is missing; extract them anew'
            )

    @property
    def fields(self) -> Fields:
        """Of which kind each part of an example is, by key."""
        return {**FIELDS, 'label': LABEL} if self._description.labelled else FIELDS

    def __len__(self) -> int:
        return len(self._records)

    def name(self, index: int) -> str:
        """Returns what messages call the example."""
        return f'{self._name}[{index}]'

    def example(self, index: int) -> dict[str, Any]:
        """Returns the codes 'top' and 'bottom', and the class 'label' where there is one.

        Raises `ImageError` when the record is damaged.
        """
        try:
            return read_record(self._records[index], self._description)
        except (RuntimeError, ValueError) as error:
            raise ImageError(self.name(index), str(error)) from error


def folder_of(rest: str) -> pathlib.Path:
    """Returns where the codes lie."""
    return pathlib.Path(rest).expanduser()


def open_part(rest: str, part: str, settings: DataSettings) -> Codes:
    """Opens the codes of a folder: see `sr_jax.data.sources`.

    Raises:
      InputError: there are none, or they are of images of another size.
    """
    folder = folder_of(rest)
    description = read_description(folder)
    if description.crop_size != settings.crop_size:
        raise InputError(
            f'{folder} holds the codes of images of {description.crop_size} pixels a side: take '
            f'--config.data.crop_size={description.crop_size}, not {settings.crop_size}'
        )
    return Codes(folder, part, description)
