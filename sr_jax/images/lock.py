"""One process at a time in a place, as far as the disk knows locks."""

import contextlib
import fcntl
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

from sr_jax.errors import InputError, name_file

NAME = '.running'  # of the lock's file in a folder that is kept


@contextlib.contextmanager
def hold(
    path: Path,
    place: Path,
    report: Callable[[str], None],
    option: str = '--output',
    shared: bool = False,
) -> Iterator[None]:
    """Keeps other processes out of a place while something is written there.

    A lock goes with its process, even when that is killed; its file is removed at the end.

    Args:
      path: of the lock's file, in a folder that is there.
      place: the file or folder that is kept, for messages.
      report: is given a line where the disk knows no locks.
      option: names another place.
      shared: let those in who share it too, and only them.

    Raises:
      InputError: another process is there, which is named; or the file cannot be written.
    """
    try:
        file = _open_locked(path, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
    except BlockingIOError as error:
        who = path.read_text(encoding='utf-8').strip() if path.exists() else ''
        raise InputError(
            f'another job writes {place} ({who}): wait until it has ended, or take another {option}'
        ) from error
    except OSError as error:
        if error.filename:
            raise InputError(f'{place} cannot be written: {error.strerror}') from error
        report(f'{place} cannot be locked ({error.strerror}): write nothing else there meanwhile')
        yield
        return
    with file:
        who = f'process {os.getpid()} of {socket.gethostname()}\n'
        try:
            with name_file(path):
                file.truncate(0)
                # Not by way of a buffer, which closing the file would try to write again.
                os.write(file.fileno(), who.encode())
            yield
        finally:
            with contextlib.suppress(OSError):  # who shares it still needs it
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink(missing_ok=True)


def _open_locked(path: Path, kind: int) -> TextIO:
    """Returns the open and locked file of a lock, made where there is none.

    Raises:
      BlockingIOError: another has locked it.
      OSError: it cannot be opened, and has a filename; or the disk knows no locks.
    """
    while True:
        file = path.open('a+', encoding='utf-8')
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
            if _is_still_there(file, path):
                return file
        except BaseException:
            file.close()
            raise
        file.close()  # its last holder removed it meanwhile


def _is_still_there(file: TextIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
