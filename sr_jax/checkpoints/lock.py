"""One run at a time in a folder.

Two would remove each other's checkpoints while they are written: a run that resumes takes those
that are not finished for what a killed one has left.
"""

import contextlib
import fcntl
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

from sr_jax.devices import distributed
from sr_jax.errors import InputError

NAME = '.running'


@contextlib.contextmanager
def hold(workdir: Path, report: Callable[[str], None]) -> Iterator[None]:
    """Keeps other runs out of a folder for as long as this one goes on, however it ends.

    Every process of the run must call it; the first one holds a lock, which goes with it even when
    it is killed.

    Args:
      workdir: the folder of the run.
      report: is given a line where the disk knows no locks.

    Raises:
      InputError: another run goes on there; names its process.
    """
    with contextlib.ExitStack() as stack:
        problem = ''
        if distributed.is_first():
            try:
                file = stack.enter_context((workdir / NAME).open('a+', encoding='utf-8'))
                problem = _lock(file, workdir, report)
            except OSError as error:
                problem = f'{workdir} cannot be written: {error.strerror}'
        if problem := distributed.agree(problem):
            raise InputError(problem)
        yield


def _lock(file: TextIO, workdir: Path, report: Callable[[str], None]) -> str:
    """Locks an open file and writes into it who has; returns what is wrong, or ''."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        return (
            f'another run goes on in {workdir} ({file.read().strip()}): wait until it has ended, '
            'or take another --workdir'
        )
    except OSError as error:
        report(f'{workdir} cannot be locked ({error.strerror}): start no other run in it meanwhile')
        return ''
    file.truncate(0)
    print(f'process {os.getpid()} of {socket.gethostname()}', file=file, flush=True)
    return ''
