"""The folder of a film that is being enlarged: pieces that are done, and what they were made by."""

import contextlib
import dataclasses
import hashlib
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from sr_jax.errors import InputError
from sr_jax.film.ffmpeg import av
from sr_jax.film.segments import SUFFIX
from sr_jax.images import atomic, lock
from sr_jax.inference.film.batches import Note
from sr_jax.inference.film.enlarger import Enlarger, make_enlarger
from sr_jax.inference.film.frames import Change
from sr_jax.inference.film.options import FilmOptions
from sr_jax.inference.upscaler import Upscaler

TOLD = 'job.json'
CHOSEN = 'chosen.json'
ENDS = 2**20  # bytes of a film, at its beginning and its end, by which it is known again


class Parts:
    """The pieces of a film, each a file of packets and one that says what there is to say of it.

    Args:
      output: the film to come; the folder lies beside it.
    """

    def __init__(self, output: Path):
        self._output = output
        self.folder = atomic.beside(output, 'parts')

    def hold(
        self, report: Callable[[str], None], shared: bool = False
    ) -> contextlib.AbstractContextManager[None]:
        """Keeps other jobs out while pieces are made and joined.

        Args:
          report: is given a line where the disk knows no locks.
          shared: let those in that share it, which make other pieces.

        Raises:
          InputError: another job goes on, or the folder of the output cannot be written.
        """
        running = atomic.beside(self._output, 'running')
        return lock.hold(running, self._output, report, shared=shared)

    def check(self, told: dict[str, Any]) -> None:
        """Looks whether pieces that are there were made in the same way.

        Args:
          told: all on which the pieces depend, as JSON has it.

        Raises:
          InputError: they were not.
        """
        before = self._read(TOLD)
        if before is not None and before != told:
            raise InputError(_describe_difference(self.folder, before, told))

    def open(self, told: dict[str, Any], overwrite: bool = False) -> None:
        """Makes the folder, or takes one that is there if its pieces were made in the same way.

        Args:
          told: as of `check`.
          overwrite: remove pieces that were made otherwise.

        Raises:
          InputError: they were made otherwise, or the folder cannot be made.
        """
        if overwrite and self._read(TOLD) not in (None, told):
            self.remove()
        self.check(told)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f'{self.folder} cannot be made: {error.strerror}') from error
        if self._read(TOLD) is None:
            atomic.write(self.folder / TOLD, json.dumps(told, indent=2).encode())

    def chosen(self) -> int | None:
        """Returns how many frames a device took at a time; None where there are no pieces."""
        found = self._read(CHOSEN)
        return None if found is None else int(found['each'])

    def choose(self, each: int) -> None:
        """Keeps how many frames a device takes at a time, for the next run."""
        atomic.write(self.folder / CHOSEN, json.dumps({'each': each}).encode())

    def segment(self, number: int) -> Path:
        """Returns the file of a piece's packets."""
        return self.folder / f'{number:06d}{SUFFIX}'

    def note(self, number: int) -> Note | None:
        """Returns what is said of a piece; None where it is not done."""
        found = self._read(f'{number:06d}.json')
        return None if found is None else Note(**found)

    def notes(self, count: int) -> list[Note]:
        """Returns what is said of those of the first pieces that are done."""
        found = (self.note(number) for number in range(count))
        return [note for note in found if note is not None]

    def finish(self, number: int, note: Note) -> None:
        """Says of a piece, whose packets are written, that it is done."""
        atomic.write(self.folder / f'{number:06d}.json', json.dumps(note._asdict()).encode())

    def files(self, count: int) -> list[Path]:
        """Returns the packets of the first pieces; those without a frame have none."""
        paths = [self.segment(number) for number in range(count)]
        return [path for path in paths if path.exists()]

    def missing(self, count: int) -> list[int]:
        """Returns which of the first pieces are not done."""
        return [number for number in range(count) if self.note(number) is None]

    def remove(self) -> None:
        """Removes the folder."""
        atomic.remove_folder(self.folder, self._output)

    def _read(self, name: str) -> dict[str, Any] | None:
        try:
            return json.loads((self.folder / name).read_text())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise InputError(
                f'{self.folder / name} cannot be read: remove that folder'
            ) from error


def _describe_difference(folder: Path, before: dict[str, Any], told: dict[str, Any]) -> str:
    names = [name for name in {**before, **told} if before.get(name) != told.get(name)]
    words = [f'{name} was {before.get(name)}, now {told.get(name)}' for name in names[:3]]
    return (
        f'{folder} holds pieces of another job ({"; ".join(words)}): give the same command again, '
        'remove that folder, or say --overwrite'
    )


def identify(path: Path) -> str:
    """Returns what tells a film, or a folder of frames, from any other."""
    digest = hashlib.sha256()
    files: Sequence[Path] = sorted(path.iterdir()) if path.is_dir() else [path]
    for file in files:
        size = file.stat().st_size
        digest.update(f'{size} '.encode())
        with file.open('rb') as opened:
            digest.update(opened.read(ENDS))
            if size > ENDS:
                opened.seek(max(ENDS, size - ENDS), os.SEEK_SET)
                digest.update(opened.read(ENDS))
    return digest.hexdigest()[:16]


def describe_job(
    upscaler: Upscaler, path: Path, options: FilmOptions, how: dict[str, Any] | None
) -> dict[str, str]:
    """Returns all on which the pieces of a film depend, as JSON has it."""
    return {
        'film': identify(path),
        'network': _identify_network(upscaler),
        'FFmpeg': av.ffmpeg_version_info,
        **{key: str(value) for key, value in (how or {}).items()},
        **{key: str(value) for key, value in dataclasses.asdict(options).items()},
    }


def _identify_network(upscaler: Upscaler) -> str:
    """Returns what tells a network from any other."""
    digest = hashlib.sha256(f'{jax.tree.structure(upscaler.variables)}'.encode())
    for leaf in jax.tree.leaves(upscaler.variables):
        digest.update(np.ascontiguousarray(leaf).tobytes())
    return digest.hexdigest()[:16]


def choose_enlarger(upscaler: Upscaler, change: Change, parts: Parts) -> Enlarger:
    """Returns what enlarges frames, as many at a time as when the first pieces were made."""
    before = parts.chosen()
    enlarger = make_enlarger(upscaler, change, before)
    if before is None:
        parts.choose(enlarger.each)
    return enlarger


def add_up(notes: Sequence[Note]) -> Note:
    """Returns what there is to say of all pieces together."""
    frames, computed, damaged, missing, resized = zip(*notes, strict=True) if notes else [(0,)] * 5
    return Note(sum(frames), sum(computed), sum(damaged), max(missing), sum(resized))
