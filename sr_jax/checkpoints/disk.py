"""The disk that checkpoints go to: whether they fit, and what went wrong, in one message."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import jax
from jaxtyping import PyTree

from sr_jax.devices import distributed
from sr_jax.devices.memory import in_words
from sr_jax.errors import InputError, first_line


def check_space(folder: Path, tree: PyTree) -> None:
    """Raises InputError before a checkpoint of the arrays is begun that would fill the disk.

    Half-way through, each of Orbax's threads would end in a traceback of its own, and the other
    processes would wait for this one. All processes must call it; all raise if one of them does.
    """
    needed = int(1.1 * sum(x.nbytes for x in jax.tree.leaves(tree))) + 2**20
    problem = ''
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        problem = f'{folder} has gone while the run went on: {error.strerror}'
    else:
        if free < needed:
            problem = (
                f'a checkpoint of {in_words(needed)} does not fit into the '
                f'{in_words(free)} that are free in {folder}: the disk is full; '
                'free some space or take another --workdir. The checkpoints before it are kept'
            )
    problem = distributed.agree(problem)
    if problem:
        raise InputError(problem)


@contextlib.contextmanager
def translate_errors(folder: Path) -> Iterator[None]:
    """Turns what goes wrong in Orbax's threads, which write in the folder, into one InputError."""
    try:
        yield
    except Exception as error:  # of a dozen kinds; only the text tells a full disk
        if 'No space left on device' in str(error):
            reason = 'the disk is full; free some space or take another --workdir'
        else:
            reason = first_line(error)
        raise InputError(
            f'a checkpoint could not be written in {folder}: {reason}. Those before it are kept'
        ) from error
