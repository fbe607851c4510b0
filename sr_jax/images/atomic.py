"""Files that appear at once and whole, or not at all."""

import contextlib
import glob
import os
from collections.abc import Iterator
from pathlib import Path

from sr_jax.errors import InputError


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yields an empty file beside a place; it is moved there at the end, over what was there.

    Raises:
      InputError: it cannot be written; nothing is left behind then, nor after any other exception.
    """
    partial = path.with_name(f'.{path.name}.{os.getpid()}.partial')
    try:
        partial.unlink(missing_ok=True)
        partial.touch(exist_ok=False)  # never through a link that somebody laid there
        yield partial
        os.replace(partial, path)
    except OSError as error:
        raise InputError(f'{path} cannot be written: {error.strerror or error}') from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def remove_left_over(path: Path) -> None:
    """Removes what processes of this machine that were killed left beside a place."""
    for partial in path.parent.glob(f'.{glob.escape(path.name)}.*.partial'):
        number = partial.name.removeprefix(f'.{path.name}.').removesuffix('.partial')
        if number.isdecimal() and not _is_running(int(number)):
            partial.unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        pass
    return True


def write(path: Path, data: bytes) -> None:
    """Writes a file beside its place and then moves it there, over one that was there before.

    Raises InputError when it cannot be written; nothing is left behind then.
    """
    with whole_file(path) as partial:
        partial.write_bytes(data)
