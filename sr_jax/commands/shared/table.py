"""Numbers of images as a table on the terminal, a row at a time, and as JSON."""

import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sr_jax.errors import InputError

WIDEST = 40  # letters of an image's name
DIGITS = {'psnr': 3, 'lq': 3}  # behind the point, by how a number's name begins; of others 4


class Table:
    """Prints rows of numbers under headings that hold the protocols.

    Args:
      images: the names of all rows.
      columns: the names of the numbers.
    """

    def __init__(self, images: Sequence[str], columns: Sequence[str]):
        self._columns = columns
        self._name_width = min(max(map(len, images)), WIDEST)

    def heading(self) -> None:
        """Prints the headings."""
        print('  '.join(['image'.ljust(self._name_width), *self._columns]))

    def row(self, name: str, numbers: Mapping[str, float]) -> None:
        """Prints a row; of a long name the end, and where there is no number, nothing."""
        if len(name) > self._name_width:
            name = '...' + name[len(name) - self._name_width + 3 :]
        cells = (
            f'{numbers[column]:{len(column)}.{DIGITS.get(column.partition("_")[0], 4)}f}'
            if column in numbers
            else ' ' * len(column)
            for column in self._columns
        )
        print('  '.join([name.ljust(self._name_width), *cells]), flush=True)


def check_place(path: Path | None) -> None:
    """Raises InputError, before anything is measured, for a file that cannot be written then."""
    if path is not None and (path.is_dir() or not path.parent.is_dir()):
        reason = 'is a folder' if path.is_dir() else f'there is no folder {path.parent}'
        raise InputError(f'--json {path}: {reason}; name a file in a folder that is there')
    if path is not None and not os.access(path if path.exists() else path.parent, os.W_OK):
        raise InputError(f'--json {path} cannot be written: name a file in a folder of your own')


def write_json(path: Path, record: Mapping[str, Any]) -> None:
    """Writes a record; numbers that are not finite, which JSON does not know, as 'inf'."""
    text = json.dumps(_replace_infinite(record), indent=2, allow_nan=False)
    path.write_text(text + '\n', encoding='utf-8')


def _replace_infinite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _replace_infinite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_replace_infinite(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
