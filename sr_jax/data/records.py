"""Files of array_record: written whole, and read so that a damaged one is named."""

import bisect
import contextlib
import errno
import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from array_record.python.array_record_data_source import ArrayRecordDataSource
from array_record.python.array_record_module import ArrayRecordReader, ArrayRecordWriter

from sr_jax.errors import REMEDIES, InputError, check_utf8, first_line, message_of
from sr_jax.images import atomic

AT_ONCE = 64  # records that are read together


class _Part(NamedTuple):
    """A whole file, as `ArrayRecordDataSource` takes it without opening it."""

    filename: str
    take: int
    examples_in_shard: int
    skip: int = 0


class Records:
    """A random-access sequence of the records of files, one file after the other.

    Safe in threads. A pickled copy opens the files at its first reading.

    Args:
      paths: of the files.
      counts: how many records belong into each.
      remedy: what a person is to do about a damaged file.

    Raises:
      InputError: a file is damaged, or holds another number of records; it names the file.
    """

    def __init__(self, paths: Sequence[Path], counts: Sequence[int], remedy: str):
        self._paths, self._remedy = list(paths), remedy
        self._ends = list(itertools.accumulate(counts))
        for path, count, found in zip(paths, counts, count_records(paths, remedy), strict=True):
            if found != count:
                raise InputError(
                    f'{path}: damaged ({found} records where {count} belong): {remedy}'
                )
        self._records = ArrayRecordDataSource(
            [_Part(str(path), count, count) for path, count in zip(paths, counts, strict=True)]
        )

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int) -> bytes:
        """Returns a record; raises `InputError`, which names the file, where it is damaged."""
        path = self._paths[bisect.bisect_right(self._ends, index)]
        with _naming(path, self._remedy):
            return self._records[index]


def count_records(paths: Sequence[Path], remedy: str) -> list[int]:
    """Returns how many records each file holds, which may be none where it was cut off.

    Raises:
      InputError: one cannot be read; it names the file, and says the remedy.
    """

    def count(path: Path) -> int:
        check_utf8(path, 'folder')
        with _naming(path, remedy), contextlib.closing(ArrayRecordReader(str(path))) as reader:
            return reader.num_records()

    with ThreadPoolExecutor() as pool:
        return list(pool.map(count, paths))


def read_records(path: Path) -> Iterator[bytes]:
    """Yields all records of a file, whose own checksums find what was changed in them.

    Raises:
      InputError: it is missing or damaged.
    """
    with _naming(path, 'write it anew'):
        reader = ArrayRecordReader(str(path))
        with contextlib.closing(reader):
            count = reader.num_records()
            for first in range(0, count, AT_ONCE):
                yield from reader.read(list(range(first, min(first + AT_ONCE, count))))


@contextlib.contextmanager
def writer(path: Path, options: str) -> Iterator[Callable[[bytes], None]]:
    """Yields what writes a record into a file, which appears whole at the end.

    Raises:
      InputError: it cannot be written; nothing is left behind then, nor after any other exception.
    """
    check_utf8(path, 'folder')
    with atomic.whole_file(path) as partial:
        with _writing(path):
            file = ArrayRecordWriter(str(partial), options)

        def write(record: bytes) -> None:
            with _writing(path):
                file.write(record)

        yield write
        with _writing(path):
            file.close()


@contextlib.contextmanager
def _naming(path: Path, remedy: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # the reader raises nearly anything of a damaged file
        raise InputError(f'{path}: damaged ({first_line(error)}): {remedy}') from error


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Says what the system refused: the library raises RuntimeError, with its words in the text."""
    try:
        yield
    except RuntimeError as error:
        for number in (*REMEDIES, errno.EIO, errno.EFBIG):
            if (reason := os.strerror(number)) in str(error):
                told = message_of(OSError(number, reason, str(path)))
                raise InputError(told) from error
        raise InputError(f'{path} cannot be written: {first_line(error)}') from error
