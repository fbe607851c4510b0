"""Codes on the disk: shards of array_record, and beside them what they are, `codes.json`.

A record holds the top codes, the bottom codes, and where there are classes the label, as 16-bit
numbers without a header.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sr_jax.data import records
from sr_jax.errors import InputError
from sr_jax.images import atomic

DESCRIPTION = 'codes.json'
BEGUN = 'codes.json.partial'  # the same, while an extraction has not ended
FORMAT = 1
TYPE = np.dtype('<u2')
REMEDY = 'run the same sr-jax extract-codes again, which makes what is missing or damaged'
FACTORS = {'top': 8, 'bottom': 4}  # pixels of a side for a code


class Description(NamedTuple):
    """What a folder of codes holds.

    Attributes:
      fingerprint: of the stage 1 that made them.
      code_sizes: how many codes there are, by level.
      crop_size: side of the images in pixels.
      labelled: whether the examples have classes.
      source: of the images.
      seed: of the random crops.
      counts: of the examples, by part.
    """

    fingerprint: str
    code_sizes: dict[str, int]
    crop_size: int
    labelled: bool
    source: str
    seed: int
    counts: dict[str, int]

    def sides(self) -> dict[str, int]:
        """Returns the side of a map of each level."""
        return {level: self.crop_size // factor for level, factor in FACTORS.items()}


def write_description(
    folder: Path, description: Description, name: str = DESCRIPTION
) -> None:
    """Writes what a folder holds, or is going to hold (BEGUN)."""
    text = json.dumps({'format': FORMAT, **description._asdict()}, indent=2)
    atomic.write(folder / name, f'{text}\n'.encode())


def read_description(folder: Path, name: str = DESCRIPTION) -> Description:
    """Returns what a folder holds, or is going to hold (BEGUN).

    Raises:
      InputError: it holds no codes, or its description is damaged.
    """
    path = folder / name
    try:
        found = json.loads(path.read_text(encoding='utf-8'))
        if found.pop('format') != FORMAT:
            raise ValueError('another version of sr_jax wrote it')
        return Description(**found)
    except FileNotFoundError:
        raise InputError(
            f'{folder}: no codes here (no {DESCRIPTION}): make them, or let an extraction that was '
            f'interrupted end, with: sr-jax extract-codes RUN DATA --output {folder}'
        ) from None
    except (AttributeError, OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(f'{path} is damaged ({error}): extract the codes anew') from error


def write_shard(path: Path, examples: Iterable[Mapping[str, Any]]) -> None:
    """Writes examples of 'top', 'bottom' and perhaps 'label' as one shard, which appears whole."""
    with records.writer(path, 'group_size:1') as write:
        for example in examples:
            parts = (example[key] for key in ('top', 'bottom', 'label') if key in example)
            write(b''.join(np.asarray(part, TYPE).tobytes() for part in parts))


def is_whole(path: Path, count: int, description: Description) -> bool:
    """Returns whether a shard is there and holds so many examples, all of which can be read."""
    try:
        return count == sum(
            bool(read_record(record, description)) for record in records.read_records(path)
        )
    except (InputError, ValueError):
        return False


def read_record(record: bytes, description: Description) -> dict[str, Any]:
    """Returns an example of a record.

    Raises:
      ValueError: it is of another length, or holds a code that is not there.
    """
    numbers, example, first = np.frombuffer(record, TYPE), {}, 0
    for level, side in description.sides().items():
        codes = numbers[first : first + side**2].reshape(side, side)
        if codes.max() >= description.code_sizes[level]:
            raise ValueError(f'a code of the {level} level is not in its codebook')
        example[level], first = codes, first + side**2
    if len(numbers) != first + description.labelled:
        raise ValueError(f'{len(numbers)} numbers, not {first + description.labelled}')
    if description.labelled:
        example['label'] = numbers[-1]
    return example
