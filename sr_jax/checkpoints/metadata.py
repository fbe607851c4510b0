"""What lies beside a checkpoint's arrays, as JSON: made, and read with a look at what it may be."""

import hashlib
import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import ml_collections

from sr_jax import models
from sr_jax.config.binding import Section
from sr_jax.config.serialization import from_json, to_json

LARGEST = 64 * 2**20  # bytes of a file of JSON in a checkpoint; that of SRFlow's arrays has 2 MB
ARRAYS = 'd'  # name of the folders in which TensorStore has what the arrays hold


FORMAT = 2  # of what is saved; 1 had other names of keys and arrays, and said no number


class OtherFormat(Exception):
    """A checkpoint is whole, but of another version of sr_jax."""


class Record(NamedTuple):
    """What is saved beside the arrays.

    Attributes:
      config: the resolved config of the run.
      data: position of the data iterator; None if there was none.
      fingerprints: of each array, from 0 to 2**32 - 1, in the order of `jax.tree.leaves`.
    """

    config: ml_collections.ConfigDict
    data: dict[str, Any] | None
    fingerprints: list[int]


def serialize(record: Record) -> dict[str, Any]:
    """Returns the record, fit for JSON, with a checksum; `read` takes it back."""
    saved = {
        'format': FORMAT,
        'config': to_json(record.config),
        'data': record.data,
        'fingerprint': record.fingerprints,
    }
    return {**saved, 'checksum': _checksum(saved)}


def read(saved: Any) -> Record:
    """Returns the record that `serialize` made.

    Raises:
      ValueError: it is not what was saved, or nothing that could be; says what.
      OtherFormat: another version saved it.
    """
    if not isinstance(saved, dict):
        raise ValueError('what lies beside its arrays is no object of JSON')
    saved = dict(saved)
    checksum = saved.pop('checksum', None)
    try:
        intact = checksum == _checksum(saved)
        first = checksum is None and saved.keys() == {'config', 'data', 'fingerprint'}
        if first or (intact and saved.get('format', 1) != FORMAT):
            raise OtherFormat(
                f'made by another version of sr_jax (its format is {saved.get("format", 1)}, this '
                f"version's is {FORMAT}): read it with that version, or train it anew in another "
                '--workdir'
            )
        config = from_json(saved['config']) if intact else None
    except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise ValueError(f'its config cannot be read: {type(error).__name__}') from error
    if config is None:
        raise ValueError(
            "its config, its fingerprints or the data's position are not what was saved"
        )
    data, fingerprints = saved.get('data'), saved.get('fingerprint')
    if saved.keys() != {'format', 'config', 'data', 'fingerprint'}:
        raise ValueError('beside its arrays lies something else than a config and its company')
    if not (data is None or isinstance(data, dict)):
        raise ValueError("the data's position is no object of JSON")
    if not isinstance(fingerprints, list) or not all(type(x) is int for x in fingerprints):
        raise ValueError('its fingerprints are no list of whole numbers')
    check_repeats(config, len(fingerprints), 'config')
    return Record(config, data, fingerprints)


def check_repeats(section: Any, arrays: int, where: str) -> None:
    """Checks that no network in a part of a config, at any depth, has more layers than arrays.

    Args:
      section: the part; one with the name of a network has the network's fields.
      arrays: how many there are.
      where: the part's name for messages, such as 'config.model'.

    Raises:
      ValueError: a field asks for more (see `sr_jax.models.protocols.Network.REPEATED`).
    """
    if not isinstance(section, Section):
        return
    repeated = models.repeated_fields(section.get('name', ''))
    for key, value in section.items():
        check_repeats(value, arrays, f'{where}.{key}')
        if key in repeated and isinstance(value, int) and value > arrays:
            raise ValueError(f'{where}.{key} is {value}, of {arrays} arrays')


def metrics_path(folder: Path) -> Path:
    """Returns where a checkpoint's metrics are, if it was validated."""
    return folder / 'metrics' / 'metrics'


def read_metrics(path: Path) -> dict[str, float]:
    """Returns the metrics of the validation that was made when a checkpoint was saved.

    Raises:
      ValueError: it holds anything but numbers by name; says what.
      OSError: it cannot be read.
    """
    check_file(path)
    try:
        found = json.loads(path.read_text(encoding='utf-8'))
    except RecursionError as error:
        raise ValueError('too many brackets within each other') from error
    numbers = isinstance(found, Mapping) and all(type(x) in (int, float) for x in found.values())
    if not numbers:
        raise ValueError('they are no numbers by name')
    return dict(found)


def check_files(folder: Path) -> None:
    """Checks that a checkpoint's folder holds nothing that must not be read.

    Orbax reads all files of JSON whole, whatever they are.

    Raises:
      ValueError, OSError: a path is no file, or none of a bearable size.
    """
    for path in folder.rglob('*'):
        if ARRAYS not in path.relative_to(folder).parts and not path.is_dir():
            check_file(path)


def check_file(path: Path) -> None:
    """Checks that a path is a file of a bearable size.

    Raises:
      ValueError, OSError: it is not.
    """
    found = os.stat(path)
    if not stat.S_ISREG(found.st_mode):
        raise ValueError(f'{path.name} is not a file')
    if found.st_size > LARGEST:
        raise ValueError(
            f'{path.name} has {found.st_size / 2**20:.0f} MiB, more than the '
            f'{LARGEST / 2**20:.0f} MiB that such a file may have'
        )


def _checksum(saved: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(saved, sort_keys=True).encode()).hexdigest()
