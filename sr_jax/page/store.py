"""The files of the page: in a temporary folder that is emptied, known to browsers by ids alone."""

import re
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from sr_jax.errors import InputError
from sr_jax.page.limits import MEGABYTE, Limits

MOST_LETTERS = 100  # of a name
VIEW = '.view.png'  # no name of a file that came begins with a dot


class Kept(NamedTuple):
    """A file in the store.

    Attributes:
      id: nobody guesses it; who knows it may have the file.
      path: in a folder of its own.
      since: when it came, by the monotonic clock.
    """

    id: str
    path: Path
    since: float

    @property
    def view(self) -> Path:
        """Where a PNG of it may lie, for browsers."""
        return self.path.with_name(VIEW)

    @property
    def size(self) -> int:
        """Bytes of all that lies in its folder, what was made beside it included."""
        files = (path for path in self.path.parent.rglob('*') if path.is_file())
        return sum(path.stat().st_size for path in files)


class Store:
    """Files that came, and files that were made.

    Args:
      limits: of sizes and times.
      is_used: whether somebody still needs a file, by its id.
    """

    def __init__(self, limits: Limits, is_used: Callable[[str], bool] = lambda key: False):
        self._limits, self._is_used = limits, is_used
        self._folder = tempfile.TemporaryDirectory(prefix='sr_jax_page_')
        self._files: dict[str, Kept] = {}
        self._lock = threading.Lock()

    @property
    def folder(self) -> Path:
        """Where all files lie."""
        return Path(self._folder.name)

    def get(self, key: str) -> Kept:
        """The file with an id.

        Raises:
          InputError: there is none, or no more.
        """
        try:
            return self._files[key]
        except KeyError:
            raise InputError('this file is no more here: drop it again') from None

    def place(self, name: str) -> Kept:
        """A place for a file, which is not there yet."""
        key = secrets.token_urlsafe(18)
        folder = self.folder / key
        folder.mkdir()
        kept = Kept(key, folder / clean_name(name), time.monotonic())
        with self._lock:
            self._files[key] = kept
        return kept

    async def receive(self, name: str, chunks: AsyncIterator[bytes], most: int) -> Kept:
        """Keeps a file that comes in pieces.

        Args:
          name: that its sender calls it.
          chunks: of its bytes.
          most: bytes that it may have.

        Raises:
          InputError: it has more, or there is no room for it.
        """
        free = min(self._make_room(), most)
        kept, size = self.place(name), 0
        try:
            with kept.path.open('xb') as file:
                async for chunk in chunks:
                    size += len(chunk)
                    if size > free:
                        raise InputError(_describe_excess(kept.path.name, free, most))
                    file.write(chunk)
        except BaseException:  # also that the browser went away
            self.remove(kept.id)
            raise
        return kept

    def remove(self, key: str) -> None:
        """Removes a file and what lies beside it."""
        with self._lock:
            kept = self._files.pop(key, None)
        if kept:
            shutil.rmtree(kept.path.parent, ignore_errors=True)

    def close(self) -> None:
        """Removes everything."""
        self._files.clear()
        self._folder.cleanup()

    def _make_room(self) -> int:
        """Removes what is too old, and the oldest of what is too much; the bytes that are free."""
        now, sizes = time.monotonic(), {}
        for key, kept in list(self._files.items()):
            if now - kept.since > self._limits.seconds and not self._is_used(key):
                self.remove(key)
            else:
                sizes[key] = kept.size
        free, count = self._limits.total_bytes - sum(sizes.values()), len(sizes)
        for key, size in sizes.items():  # the oldest first
            if free >= self._limits.image_bytes and count < self._limits.files:
                break
            if not self._is_used(key):
                self.remove(key)
                free, count = free + size, count - 1
        if count >= self._limits.files:
            return 0
        return min(free, shutil.disk_usage(self.folder).free // 2)


def clean_name(name: str) -> str:
    """The last part of a name, without what a file system or a header stumbles over."""
    last = PurePosixPath(name.replace('\\', '/')).name
    last = re.sub(r'[\x00-\x1f\x7f"*/:<>?|]', '_', last).lstrip('. ') or 'file'
    stem, dot, suffix = last.rpartition('.')
    if not dot:
        return last[:MOST_LETTERS]
    return f'{stem[:MOST_LETTERS]}.{suffix[:10]}'


def _describe_excess(name: str, free: int, most: int) -> str:
    if free < most:
        return f'{name}: the page has no more room: wait until others are done, or take it later'
    return f'{name}: at most {most / MEGABYTE:.4g} MiB are taken; take the command sr-jax upscale'
