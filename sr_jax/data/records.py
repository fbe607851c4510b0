"""Files of array_record, written whole or not at all."""

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from array_record.python.array_record_module import ArrayRecordWriter

from sr_jax.errors import REMEDIES, InputError, first_line, message_of
from sr_jax.images import atomic


@contextlib.contextmanager
def writer(path: Path, options: str) -> Iterator[Callable[[bytes], None]]:
    """Yields what writes a record into a file, which appears whole at the end.

    Raises:
      InputError: it cannot be written; nothing is left behind then, nor after any other exception.
    """
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
