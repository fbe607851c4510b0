"""Files that appear at once and whole, or not at all."""

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from sr_jax.errors import InputError

LONGEST = 200  # bytes of a name that stands in others; file systems take 255


def beside(path: Path, end: str) -> Path:
    """Returns a hidden place beside another one, with a name of its own that is not too long."""
    name = os.fsencode(path.name)
    if len(name) > LONGEST:
        return path.with_name(f'.{hashlib.sha256(name).hexdigest()[:32]}.{end}')
    return path.with_name(f'.{path.name}.{end}')


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yields an empty file beside a place; it is moved there at the end, over what was there.

    Raises:
      InputError: it cannot be written; nothing is left behind then, nor after any other exception.
    """
    partial = beside(path, f'{os.getpid()}.partial')
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


def remove_folder(folder: Path, place: Path) -> None:
    """Removes a folder at once: of a process that is killed meanwhile, only rubbish stays.

    Args:
      folder: that is removed.
      place: the result that it belongs to; `remove_left_over` removes the rubbish beside that.
    """
    rubbish = beside(place, f'{os.getpid()}.partial')
    shutil.rmtree(rubbish, ignore_errors=True)
    try:
        folder.rename(rubbish)
    except OSError:
        rubbish = folder
    shutil.rmtree(rubbish, ignore_errors=True)


def remove_left_over(paths: Iterable[Path]) -> None:
    """Removes what processes of this machine that were killed left beside places."""
    starts: dict[Path, set[str]] = {}
    for path in paths:
        starts.setdefault(path.parent, set()).add(beside(path, '').name)
    for folder, own in starts.items():
        for partial in folder.glob('.*.partial'):
            start, number, _ = partial.name.rsplit('.', 2)
            if f'{start}.' in own and number.isdecimal() and not _is_running(int(number)):
                if partial.is_dir() and not partial.is_symlink():
                    shutil.rmtree(partial, ignore_errors=True)
                else:
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
