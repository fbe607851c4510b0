"""Folders of numbered frames, read as a film of a constant rate."""

import contextlib
import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType

from sr_jax.errors import InputError
from sr_jax.film import h273
from sr_jax.film.decoding import Decoder
from sr_jax.film.formats import ColorDescription, PixelFormat
from sr_jax.film.pixels import describe, planes_of
from sr_jax.film.reader import FilmFrame

SUFFIXES = ('.png', '.jpg', '.jpeg', '.tif', '.tiff', '.bmp', '.webp', '.exr', '.dpx', '.ppm')


def find_frames(folder: Path) -> list[Path]:
    """Returns the images of a folder in the order of their numbers, or of their names.

    Numbers need not have zeros before them; where two files have the same number, or one has none,
    names decide.

    Raises:
      InputError: there are none, or a number is missing between them.
    """
    found = [path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES]
    if not found:
        raise InputError(f'{folder} holds no images ({" ".join(SUFFIXES)})')
    numbers = {path: re.findall(r'\d+', path.stem) for path in found}
    last = {path: int(parts[-1]) for path, parts in numbers.items() if parts}
    if len(set(last.values())) < len(found):
        return sorted(found)
    missing = set(range(min(last.values()), max(last.values()))) - set(last.values())
    if missing:
        raise InputError(
            f'{folder}: the frame of number {min(missing)} is missing, and {len(missing) - 1} more'
        )
    return sorted(found, key=lambda path: last[path])


class NumberedFrames:
    """A folder of images that is read as a film; iterate it for its frames.

    Args:
      folder: with images of one size and pixel format.
      rate: frames a second.

    Attributes:
      width, height, pixels, color: of the first image, and so of all.
      time_base: seconds of a frame.

    Raises:
      InputError: there are no images, one is missing or cannot be read, or the rate is no rate.
    """

    def __init__(self, folder: Path, rate: Fraction):
        if rate <= 0:
            raise InputError(f'--rate {rate}: it must be more than 0')
        self._paths = find_frames(folder)
        self.time_base = 1 / rate
        with contextlib.closing(Decoder(self._paths[0])) as decoder:
            self.width, self.height = decoder.first.width, decoder.first.height
            self.pixels: PixelFormat = describe(decoder.first.format.name)
            self.color: ColorDescription = h273.read(decoder.context)

    def __len__(self) -> int:
        return len(self._paths)

    def __iter__(self) -> Iterator[FilmFrame]:
        return self.frames_from(0)

    def frames_from(self, first: int) -> Iterator[FilmFrame]:
        """Yields the frames from the one of such a number on; the first of all is 0."""
        for number, path in enumerate(self._paths[first:], start=first):
            with contextlib.closing(Decoder(path)) as decoder:
                frame = decoder.first
            size = (frame.width, frame.height)
            if size != (self.width, self.height) or describe(frame.format.name) != self.pixels:
                raise InputError(
                    f'{path} has {size[0]}x{size[1]} pixels {frame.format.name}, other than the '
                    f'first with {self.width}x{self.height}'
                )
            yield FilmFrame(planes_of(frame), number, 1, self.time_base, key=True)

    def __enter__(self) -> 'NumberedFrames':
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Nothing is open between frames."""
