"""Images in an LMDB database of BasicSR's form: a folder with data.mdb and meta_info.txt.

A line of meta_info.txt names an image and its size, '0001.png (480,320,3) 1'; its key in the
database is the name without the suffix, its value an image file (BasicSR, docs/DatasetPreparation).
"""

import os
import pathlib
import re
import threading
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Num

from sr_jax.config.settings import DataSettings
from sr_jax.data.fields import IMAGE
from sr_jax.data.sources.folder import split_part
from sr_jax.errors import InputError, first_line
from sr_jax.images.decoding import ImageError, decode, to_float

FORM = 'lmdb:<folder>'
FIELDS = {'hq': IMAGE}
DATA, META = 'data.mdb', 'meta_info.txt'
_LINE = re.compile(r'(?P<name>\S.*\.\w+) \(\d+, ?\d+(, ?\d+)?\) \d+')
# Of this process, by the data's device and inode: LMDB forbids to open a database twice in one.
_databases: weakref.WeakValueDictionary[tuple[int, int], Any] = weakref.WeakValueDictionary()
_lock = threading.Lock()


class LmdbImages:
    """A random-access sequence of the images of a database, which is read only and without locks.

    Safe in threads. A pickled copy opens the database at its first reading, so that every process
    opens its own.

    Args:
      folder: of the database.
      names: of the images, as meta_info.txt has them.

    Raises:
      InputError: the package lmdb is missing, or the database cannot be opened.
    """

    def __init__(self, folder: pathlib.Path, names: Sequence[str]):
        self._folder, self._names = folder, list(names)
        self._database: Any = _open_database(folder, verify=True)

    fields = FIELDS

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, '_database': None}

    def __len__(self) -> int:
        return len(self._names)

    def name(self, index: int) -> str:
        """Returns what messages call the image."""
        return str(self._folder / self._names[index])

    def pixels(self, index: int) -> Num[np.ndarray, 'h w 3']:
        """Returns the image in its own precision (`decode`); raises `ImageError`."""
        return decode(self._read(index), self.name(index))

    def example(self, index: int) -> dict[str, np.ndarray]:
        """Returns the image as `{'hq': pixels}`."""
        return {'hq': self.pixels(index)}

    def __getitem__(self, index: int) -> Float[np.ndarray, 'h w 3']:
        """Returns the image as float32 in [0, 1]."""
        return to_float(self.pixels(index))

    def _read(self, index: int) -> bytes:
        import lmdb

        if self._database is None:
            self._database = _open_database(self._folder)
        key = self._names[index].rpartition('.')[0]
        try:
            with self._database.begin() as transaction:
                encoded: bytes | None = transaction.get(key.encode())
        except lmdb.Error as error:
            reason = f'the database is damaged: {first_line(error)}'
            raise ImageError(self.name(index), reason) from error
        if encoded is None:
            raise ImageError(self.name(index), f'{META} lists it, but {DATA} has no key {key!r}')
        return encoded


def open_part(rest: str, part: str, settings: DataSettings) -> LmdbImages:
    """Opens the images of a database: see `sr_jax.data.sources`."""
    folder = folder_of(rest)
    whole = 'all' if settings.validation_source else part
    names = split_part(folder, image_names(folder), whole, settings.validation_fraction)
    return open_images(folder, names)


def folder_of(rest: str) -> pathlib.Path:
    """Returns where the database lies."""
    return pathlib.Path(rest).expanduser()


def is_database(folder: pathlib.Path) -> bool:
    """Returns whether a folder is a database, by its name or by what lies in it."""
    return folder.suffix == '.lmdb' or (folder / DATA).is_file()


def image_names(folder: pathlib.Path) -> list[str]:
    """Lists the images of a database, sorted, as meta_info.txt names them.

    Raises:
      InputError: this is missing, cannot be read or names none, or the database is missing.
    """
    for file in (DATA, META):
        if not (folder / file).is_file():
            raise InputError(
                f'{folder}: no {file} in this folder; an LMDB database of images is a folder with '
                f"{DATA} and {META}, as BasicSR's create_lmdb.py makes it"
            )
    try:
        lines = (folder / META).read_text('utf-8').splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f'{folder / META}: it cannot be read: {first_line(error)}') from error
    names = []
    for number, line in enumerate(lines, 1):
        found = _LINE.fullmatch(line.strip())
        if found:
            names.append(found['name'])
        elif line.strip():
            raise InputError(
                f'{folder / META}, line {number}: {line[:80]!r} is not an image with its size, '
                "such as '0001.png (480,320,3) 1'"
            )
    if not names:
        raise InputError(f'{folder / META}: it names no images')
    return sorted(names)


def open_images(folder: pathlib.Path, names: Sequence[str]) -> LmdbImages:
    """Opens images of a database, by their names."""
    return LmdbImages(folder, names)


def _open_database(folder: pathlib.Path, verify: bool = False) -> Any:
    """Returns the database, which may be open already.

    Args:
      folder: where it lies.
      verify: whether its structure is looked through first, a page of each image: to read a damaged
        one may kill the process.

    Raises:
      InputError: it is damaged or cannot be opened, or the package that reads it is missing.
    """
    try:
        import lmdb
        from lmdb.verify import VerifyError
        from lmdb.verify import verify as find_problems
    except ImportError as error:
        raise InputError(
            f"{folder}: an LMDB database is read by the package lmdb: pip install 'sr_jax[lmdb]'"
        ) from error
    try:
        about = os.stat(folder / DATA)
        place = (about.st_dev, about.st_ino)
        with _lock:
            problems = find_problems(str(folder)) if verify and place not in _databases else ()
            if problems:
                raise InputError(f'{folder / DATA}: damaged ({problems[0]}); copy it anew')
            database = _databases.get(place) or lmdb.open(
                str(folder), readonly=True, create=False, lock=False, readahead=False
            )
            _databases[place] = database
    except (OSError, VerifyError, lmdb.Error) as error:
        raise InputError(f'{folder}: the database cannot be opened: {first_line(error)}') from error
    return database
