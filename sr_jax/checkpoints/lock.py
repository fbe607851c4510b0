"""One run at a time in a folder.

Two would remove each other's checkpoints while they are written: a run that resumes takes those
that are not finished for what a killed one has left.
"""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from sr_jax.devices import distributed
from sr_jax.errors import InputError
from sr_jax.images import lock


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
                stack.enter_context(lock.hold(workdir / lock.NAME, workdir, report, '--workdir'))
            except InputError as error:
                problem = str(error)
        if problem := distributed.agree(problem):
            raise InputError(problem)
        yield
