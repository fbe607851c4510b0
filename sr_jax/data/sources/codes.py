"""Codes of images that `sr-jax extract-codes` has written: whole examples, which are not cut."""

import pathlib
from typing import Any

from sr_jax.config.settings import DataSettings
from sr_jax.data.code_shards import REMEDY, Description, read_description, read_record
from sr_jax.data.fields import CODES, LABEL, Fields
from sr_jax.data.records import Records, count_records
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
      InputError: a shard is missing or damaged, or the part is empty.
    """

    def __init__(self, folder: pathlib.Path, part: str, description: Description):
        self._description = description
        self._name = f'{folder}/{part}'
        self._records = _open_records(folder, part, description.counts[part])

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
        except (InputError, ValueError) as error:
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


def _open_records(folder: pathlib.Path, part: str, total: int) -> Records:
    """Opens the shards of a part, which are all of one size but for the last."""
    found = sorted(folder.glob(f'{part}-*.array_record'))
    if not found:
        raise InputError(f'{folder}: no codes of the part {part!r}: {REMEDY}')
    counts = count_records(found, REMEDY)
    size = max(counts) or total or 1
    firsts = range(0, max(total, 1), size)
    paths = [folder / f'{part}-{number:05d}.array_record' for number in range(len(firsts))]
    if missing := [path.name for path in paths if path not in found]:
        raise InputError(
            f'{folder}: {sum(counts)} codes of the part {part!r}, not {total}: {missing[0]} is '
            f'missing: {REMEDY}'
        )
    return Records(paths, [min(size, total - first) for first in firsts], REMEDY)
