"""The 1,797 handwritten digits that lie inside the scikit-learn wheel, of 8 x 8 pixels.

Nothing is downloaded and scikit-learn is not imported. They are the test part of E. Alpaydin and
C. Kaynak's "Optical recognition of handwritten digits" (UCI, CC BY 4.0). Every fifth is to
validate on. What is mirrored or turned is no longer that digit: set config.data.flips and
config.data.rotations to False.
"""

import functools
import pathlib
from typing import Any

import numpy as np

from sr_jax.config.settings import DataSettings
from sr_jax.data.fields import IMAGE, LABEL
from sr_jax.data.sources.photos import find_folder
from sr_jax.errors import InputError

FORM = 'digits'
FIELDS = {'hq': IMAGE, 'label': LABEL}
SIDE = 8
WHITE = 16  # the largest of their values
EVERY = 5  # one of so many is to validate on


class Digits:
    """A random-access sequence of digits, white on black, each with its label.

    Args:
      part: 'train', 'validation' or 'all'.
    """

    fields = FIELDS

    def __init__(self, part: str):
        held_out = np.arange(len(read_table())) % EVERY == EVERY - 1
        wanted = {'train': ~held_out, 'validation': held_out, 'all': held_out | True}[part]
        self.classes = {'label': tuple('0123456789')}
        self._rows = np.flatnonzero(wanted)

    def __len__(self) -> int:
        return len(self._rows)

    def name(self, index: int) -> str:
        """Returns what messages call the digit."""
        return f'digits[{self._rows[index]}]'

    def example(self, index: int) -> dict[str, Any]:
        """Returns the image 'hq', uint8 [8, 8, 3], and its 'label'."""
        *pixels, label = read_table()[self._rows[index]]
        gray = np.reshape(pixels, (SIDE, SIDE, 1)) * 255 // WHITE
        return {'hq': gray.repeat(3, axis=2).astype(np.uint8), 'label': label}


@functools.cache
def read_table() -> np.ndarray:
    """Returns the pixels of all digits, row by row, and the digit: int64 [1797, 65].

    Raises:
      InputError: scikit-learn's wheel has no such file.
    """
    path = find_folder('scikit-learn', 'sklearn', pathlib.Path('datasets', 'data'))
    path /= 'digits.csv.gz'
    if not path.is_file():
        raise InputError(f'{path} is missing; reinstall it with: pip install -U scikit-learn')
    return np.loadtxt(path, delimiter=',', dtype=np.int64)


def open_part(rest: str, part: str, settings: DataSettings) -> Digits:
    """Opens the digits: see `sr_jax.data.sources`."""
    del rest, settings
    return Digits(part)
