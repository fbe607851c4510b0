"""Clips of films, decoded when they are wanted, from the key frame before.

A film is cut into clips one after the other; where the same films serve both, the last ones of each
are there to validate on. Frames are taken as they are stored: fields should be undone before.
"""

import bisect
import itertools
import pathlib
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from sr_jax.config.settings import DataSettings
from sr_jax.data.fields import CLIP
from sr_jax.data.sources.frames import check_length
from sr_jax.errors import InputError
from sr_jax.images.decoding import ImageError

FORM = 'film:<film or folder>'
FIELDS = {'hq': CLIP}
SUFFIXES = ('.mp4', '.m4v', '.mov', '.mkv', '.webm', '.avi', '.mpg', '.mpeg', '.ts', '.dv', '.y4m')


class FilmClips:
    """The clips of films, as 16 bits a channel.

    Args:
      paths: of the films.
      part: 'train', 'validation' or 'all' of each.
      settings: how long clips are, and which fraction of a film is for validation.

    Raises:
      InputError: a file is no film, or shorter than a clip.
    """

    fields = FIELDS

    def __init__(self, paths: Sequence[pathlib.Path], part: str, settings: DataSettings):
        self._paths, self._frames = list(paths), settings.frames
        self._starts = [
            _choose(_find_clips(path, settings.frames), part, settings.validation_fraction)
            for path in self._paths
        ]
        self._ends = list(itertools.accumulate(map(len, self._starts)))
        if not self._ends[-1]:
            raise InputError(
                f'{self._paths[0]}: one clip of {self._frames} frames cannot be split into '
                'training and validation; give longer films, or set config.data.validation_source'
            )

    def __len__(self) -> int:
        return self._ends[-1]

    def name(self, index: int) -> str:
        """Returns what messages call the clip: its film, and when it begins."""
        path, start = self._place(index)
        return f'{path} from {float(start):.3f} s'

    def example(self, index: int) -> dict[str, Any]:
        """Returns the clip as `{'hq': uint16 [t, h, w, 3]}`; raises `ImageError`."""
        try:
            return {'hq': _decode(*self._place(index), self._frames)}
        except InputError as error:
            raise ImageError(self.name(index), str(error)) from error

    def _place(self, index: int) -> tuple[pathlib.Path, Fraction]:
        film = bisect.bisect_right(self._ends, index)
        return self._paths[film], self._starts[film][index - self._ends[film]]


def _find_clips(path: pathlib.Path, frames: int) -> list[Fraction]:
    """Returns when the clips of a film begin, in seconds."""
    times = _packet_times(path)
    if not times:  # its file does not say when each frame is shown
        from sr_jax.film.reader import open_film

        with open_film(path) as film:
            times = [frame.pts * frame.time_base for frame in film]
    check_length(str(path), len(times), frames)
    return times[: len(times) - frames + 1 : frames]


def _packet_times(path: pathlib.Path) -> list[Fraction]:
    """Returns when the frames of a film are shown, without decoding; [] where it does not say."""
    from sr_jax.film.decoding import WITHOUT_SHOWING_TIMES, Decoder  # PyAV is not everywhere

    decoder = Decoder(path)
    try:
        packets = decoder.container.demux(decoder.stream)
        decoder.container.seek(0)
        ticks = [packet.pts for packet in packets if packet.size]
        usual = decoder.container.format.name not in WITHOUT_SHOWING_TIMES
        if None in ticks or len(set(ticks)) < len(ticks) or not usual:
            return []
        return [tick * decoder.stream.time_base for tick in sorted(ticks)]
    finally:
        decoder.close()


def _choose(starts: list[Fraction], part: str, fraction: float) -> list[Fraction]:
    kept = max(1, round(len(starts) * fraction))
    return {'all': starts, 'train': starts[:-kept], 'validation': starts[-kept:]}[part]


def _decode(path: pathlib.Path, start: Fraction, frames: int) -> np.ndarray:
    from sr_jax.film import color, tags
    from sr_jax.film.reader import open_film

    with open_film(path, from_time=start) as film:
        video = film.info.video
        planes = [frame.planes for frame in itertools.islice(film, frames)]
    if len(planes) < frames:
        raise InputError(f'{len(planes)} frames could be decoded there, not {frames}')
    said = tags.resolve(video.color, video.pixels, video.height)
    stacked = tuple(np.stack(each) for each in zip(*planes, strict=True))
    rgb = np.asarray(color.to_rgb(stacked, video.pixels, said))
    return np.round(65535 * np.clip(rgb, 0, 1)).astype(np.uint16)


def open_part(rest: str, part: str, settings: DataSettings) -> FilmClips:
    """Opens the clips of films: see `sr_jax.data.sources`."""
    if settings.workers:
        raise InputError(
            f'film:{rest} is decoded in threads, and its colors come from the device: set '
            'config.data.workers=0'
        )
    path = folder_of(rest)
    paths = [path]
    if path.is_dir():
        paths = sorted(p for p in path.rglob('*') if p.suffix.lower() in SUFFIXES)
    if not paths:
        raise InputError(f'{path}: no films in this folder or below it ({" ".join(SUFFIXES)})')
    return FilmClips(paths, 'all' if settings.validation_source else part, settings)


def folder_of(rest: str) -> pathlib.Path:
    """Returns where the films lie."""
    return pathlib.Path(rest).expanduser()
