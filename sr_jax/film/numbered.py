"""Folders of numbered frames, read as a film of a constant rate."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType

from sr_jax.errors import InputError, LastingError
from sr_jax.film import formats, stills
from sr_jax.film.formats import FrameKind
from sr_jax.film.frame_files import find_frames
from sr_jax.film.reader import FilmFrame


class NumberedFrames:
    """A folder of images that is read as a film; iterate it for its frames.

    Args:
      folder: with images; they are turned as their EXIF says, and stored as one format that holds
        all.
      rate: frames a second.
      kind: what all frames are to be, of a folder that was looked at before; None: the first one's
        size, and the pixels that hold all.
      resize: bring images of another size to that of the first, instead of refusing them.

    Attributes:
      width, height: of the first image, upright, and so of all.
      pixels, color: of all.
      time_base: seconds of a frame.
      notes: what is done to images that are not like the first, in words; of `kind` None.
      resized: how many frames were brought to another size.

    Raises:
      InputError: there are no images, one is missing, cannot be read or has another size, or the
        rate is no rate.
    """

    def __init__(
        self, folder: Path, rate: Fraction, kind: FrameKind | None = None, resize: bool = False
    ):
        if rate <= 0:
            raise InputError(f'--rate {rate}: it must be more than 0')
        self._paths, self._resize, self.resized = find_frames(folder), resize, 0
        self.time_base = 1 / rate
        self.notes: tuple[str, ...] = ()
        if kind is None:
            kind = self._look()
        self._kind = kind
        self.height, self.width, self.pixels, self.color = kind

    def _look(self) -> FrameKind:
        """Sets `notes`; returns what holds all images."""
        looks = stills.look_at(self._paths)
        kinds = [kind for kind, _ in looks]
        found = stills.choose_kind(kinds)
        named = list(zip(self._paths, kinds, strict=True))
        notes, count = [], len(kinds)
        if turned := sum(turns for _, turns in looks):
            notes.append(f'{turned} of {count} images are turned upright, as their EXIF says')
        others = [each for each in named if each[1].pixels != found.pixels]
        if others:
            path, kind = others[0]
            notes.append(
                f'{len(others)} of {count} images are stored otherwise ({path.name}: '
                f'{formats.words(kind.pixels)}): all are taken as {formats.words(found.pixels)}'
            )
        others = [each for each in named if each[1][:2] != found[:2]]
        if others:
            self._check_size(*others[0], found)
            path, kind = others[0]
            notes.append(
                f'{len(others)} of {count} images have another size than the first ({path.name}: '
                f'{kind.width}x{kind.height}): they are resized to {found.width}x{found.height}'
            )
        self.notes = tuple(notes)
        return found

    def _check_size(self, path: Path, kind: FrameKind, wanted: FrameKind) -> None:
        if kind[:2] != wanted[:2] and not self._resize:
            raise LastingError(
                f'{path} has {kind.width}x{kind.height} pixels, other than the first, '
                f'{self._paths[0].name}, with {wanted.width}x{wanted.height}: have it resized '
                '(--sizes first), or give images of one size'
            )

    def __len__(self) -> int:
        return len(self._paths)

    def __iter__(self) -> Iterator[FilmFrame]:
        return self.frames_from(0)

    def frames_from(self, first: int) -> Iterator[FilmFrame]:
        """Yields the frames from the one of such a number on; the first of all is 0."""
        for number, path in enumerate(self._paths[first:], start=first):
            planes, kind = stills.read_still(path)
            self._check_size(path, kind, self._kind)
            self.resized += kind[:2] != self._kind[:2]
            planes = stills.bring_to(planes, kind, self._kind)
            yield FilmFrame(planes, number, 1, self.time_base, key=True)

    def __enter__(self) -> 'NumberedFrames':
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Nothing is open between frames."""
