"""Files that appear at once and whole, or not at all."""

import contextlib
import os
from pathlib import Path

from sr_jax.errors import InputError


def write(path: Path, data: bytes) -> None:
    """Writes a file beside its place and then moves it there, over one that was there before.

    Raises InputError when it cannot be written; nothing is left behind then.
    """
    partial = path.with_name(f'.{path.name}.{os.getpid()}.partial')
    try:
        partial.unlink(missing_ok=True)
        partial.touch(exist_ok=False)  # never through a link that somebody laid there
        partial.write_bytes(data)
        os.replace(partial, path)
    except BaseException as error:  # also Ctrl-C
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise InputError(f'{path} cannot be written: {error.strerror or error}') from error
        raise
