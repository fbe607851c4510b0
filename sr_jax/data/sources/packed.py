"""Sub-images of a folder, cut out once by `sr-jax pack`: a folder of array_record files.

A record is a PNG. The files are numbered, and beside each stands what is in it; `packed.json` is
written at the end, with a fingerprint of all. A sub-image is called by its number in its image and
the image's own path: '003/birds/0001.png'. So partners in two packed folders have the names that
their images have as partners (`sr_jax.data.sources.paired`).
"""

import hashlib
import json
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Num

from sr_jax.config.settings import DataSettings
from sr_jax.data.fields import IMAGE
from sr_jax.data.records import Records
from sr_jax.data.sources import folder as files
from sr_jax.errors import InputError, first_line
from sr_jax.images.decoding import ImageError, decode, to_float

FORM = 'packed:<folder>'
FIELDS = {'hq': IMAGE}
INDEX = 'packed.json'
REMEDY = 'run the same sr-jax pack again, which makes what is missing or damaged'


class Shard(NamedTuple):
    """One file of a packed folder, as the JSON beside it says.

    Attributes:
      sources: path, bytes and time of change of each image that went into it.
      names: of its records, in order.
      failed: why an image could not be read, by its path.
      sha256: of the records, one after the other.
      cut: side of the sub-images, and pixels from one to the next.
    """

    sources: list[list]
    names: list[str]
    failed: dict[str, str]
    sha256: str
    cut: list[int]


TYPES = (list, list, dict, str, list)  # of a shard's attributes


class PackedImages:
    """A random-access sequence of the sub-images in a packed folder.

    Safe in threads. A pickled copy opens the files at its first reading.

    Args:
      folder: that `sr-jax pack` wrote.
      names: of the sub-images.

    Raises:
      InputError: a file is missing or damaged.
    """

    def __init__(self, folder: pathlib.Path, names: Sequence[str]):
        self._folder, self._names = folder, list(names)
        shards = read_shards(folder)
        everything = [name for shard in shards for name in shard.names]
        numbers = {name: number for number, name in enumerate(everything)}
        self._numbers = [numbers[name] for name in self._names]
        counts = [len(shard.names) for shard in shards]
        self._records = Records(shard_files(folder, len(shards)), counts, REMEDY)

    fields = FIELDS

    def __len__(self) -> int:
        return len(self._names)

    def name(self, index: int) -> str:
        """Returns what messages call the sub-image."""
        return str(self._folder / self._names[index])

    def pixels(self, index: int) -> Num[np.ndarray, 'h w 3']:
        """Returns the sub-image in its own precision; raises `ImageError`."""
        number = self._numbers[index]
        try:
            encoded = self._records[number]
        except InputError as error:
            raise ImageError(self.name(index), str(error)) from error
        return decode(encoded, self.name(index))

    def example(self, index: int) -> dict[str, np.ndarray]:
        """Returns the sub-image as `{'hq': pixels}`."""
        return {'hq': self.pixels(index)}

    def __getitem__(self, index: int) -> Float[np.ndarray, 'h w 3']:
        """Returns the sub-image as float32 in [0, 1]."""
        return to_float(self.pixels(index))


def open_part(rest: str, part: str, settings: DataSettings) -> PackedImages:
    """Opens the sub-images of a packed folder: see `sr_jax.data.sources`."""
    folder, whole = folder_of(rest), 'all' if settings.validation_source else part
    names = split_part(folder, image_names(folder), whole, settings.validation_fraction)
    return open_images(folder, names)


def folder_of(rest: str) -> pathlib.Path:
    """Returns where the packed folder lies."""
    return pathlib.Path(rest).expanduser()


def is_packed(folder: pathlib.Path) -> bool:
    """Returns whether a folder was written by `sr-jax pack`."""
    return (folder / INDEX).is_file()


def image_names(folder: pathlib.Path) -> list[str]:
    """Lists the sub-images of a packed folder, in the order of its records.

    Raises:
      InputError: it is none, or a file of it is missing.
    """
    return [name for shard in read_shards(folder) for name in shard.names]


def open_images(folder: pathlib.Path, names: Sequence[str]) -> PackedImages:
    """Opens sub-images of a packed folder, by their names."""
    return PackedImages(folder, names)


def split_part(
    folder: pathlib.Path, names: list[str], part: str, validation_fraction: float
) -> list[str]:
    """Returns the names of one part: sub-images of an image, which overlap, are all on one side.

    Otherwise as `sr_jax.data.sources.folder.split_part`, by the paths of the images.
    """
    images = list(dict.fromkeys(map(image_of, names)))
    kept = set(files.split_part(folder, images, part, validation_fraction))
    return [name for name in names if image_of(name) in kept]


def image_of(name: str) -> str:
    """Returns the path of the image that a sub-image was cut out of."""
    return name.partition('/')[2]


def read_shards(folder: pathlib.Path) -> list[Shard]:
    """Returns what the files of a packed folder hold.

    Raises:
      InputError: it is no packed folder, not a whole one, or its files do not belong together.
    """
    index = read_index(folder)
    found = {path: read_shard(path) for path in shard_files(folder, index['shards'])}
    shards = [shard for shard in found.values() if shard is not None]
    if missing := [path.name for path, shard in found.items() if shard is None]:
        raise InputError(
            f'{folder}: {len(missing)} files are missing, or the JSON beside them is missing or '
            f'damaged ({missing[0]} the first): {REMEDY}'
        )
    _check_together(folder, index, shards)
    if not any(shard.names for shard in shards):
        raise InputError(f'{folder}: there is no image in it')
    return shards


def read_index(folder: pathlib.Path) -> dict:
    """Returns what `packed.json` says.

    It is 'shards', their number, 'fingerprint', of all records, and 'size' and 'step'.

    Raises:
      InputError: it is missing or damaged.
    """
    try:
        index = json.loads((folder / INDEX).read_text('utf-8'))
        numbers = [index[key] for key in ('shards', 'size', 'step')]
        ints = all(isinstance(each, int) for each in numbers)
        if not ints or min(numbers) < 1 or not isinstance(index['fingerprint'], str):
            raise ValueError('not what sr-jax pack writes')
        return dict(index)
    except FileNotFoundError as error:
        raise InputError(
            f'{folder}: no {INDEX} in this folder: sr-jax pack IMAGES {folder} writes it'
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f'{folder / INDEX}: damaged ({first_line(error)}): {REMEDY}') from error


def shard_files(folder: pathlib.Path, count: int) -> list[pathlib.Path]:
    """Returns the paths of so many files of records."""
    return [folder / f'{number:05d}.array_record' for number in range(count)]


def read_shard(path: pathlib.Path) -> Shard | None:
    """Returns what a file of records holds; None where it is missing, or was not finished."""
    try:
        described = json.loads(path.with_suffix('.json').read_text('utf-8'))
        shard = Shard(**described)
        fits = all(isinstance(*pair) for pair in zip(shard, TYPES, strict=True))
        return shard if fits and path.is_file() else None
    except (OSError, ValueError, TypeError):
        return None


def fingerprint_of(shards: Sequence[Shard]) -> str:
    """Returns the fingerprint of all records of files."""
    return hashlib.sha256(''.join(shard.sha256 for shard in shards).encode()).hexdigest()


def _check_together(folder: pathlib.Path, index: dict, shards: Sequence[Shard]) -> None:
    """Raises InputError where files are not those that `packed.json` was written for."""
    wanted = [index['size'], index['step']]
    for path, shard in zip(shard_files(folder, len(shards)), shards, strict=True):
        if shard.cut != wanted:
            cuts = [' '.join(map(str, cut)) for cut in (shard.cut, wanted)]
            raise InputError(
                f'{path} was packed with another --size and --step ({cuts[0]}) than {INDEX} says '
                f'({cuts[1]}): sr-jax pack was interrupted; run it again with those you want'
            )
    if fingerprint_of(shards) != index['fingerprint']:
        raise InputError(
            f'{folder}: the files were packed of other images than {INDEX} says: sr-jax pack was '
            'interrupted; run it again'
        )
