"""Clips in folders of numbered images: REDS, Vimeo-90K, TecoGAN's own, and any alike.

A folder that holds images is a film, at whichever depth: `000/00000000.png`, `00001/0001/im1.png`
or `scene_2000/col_high_0000.png`. A clip begins at each of its frames that has enough behind it.
"""

import bisect
import itertools
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from sr_jax.config.settings import DataSettings
from sr_jax.data.fields import CLIP
from sr_jax.data.sources.folder import split_part
from sr_jax.errors import InputError
from sr_jax.film.frame_files import SUFFIXES, find_frames
from sr_jax.images.decoding import ImageError
from sr_jax.images.files import read_image

FORM = 'frames:<folder of folders>'
FIELDS = {'hq': CLIP}


class FrameClips:
    """The clips of folders.

    Args:
      folders: of one film each.
      frames: of a clip.

    Raises:
      InputError: a film is shorter than a clip, or one of its frames is missing.
    """

    fields = FIELDS

    def __init__(self, folders: Sequence[pathlib.Path], frames: int):
        self._frames = frames
        self._films = [find_frames(folder) for folder in folders]
        for folder, film in zip(folders, self._films, strict=True):
            check_length(str(folder), len(film), frames)
        self._ends = list(itertools.accumulate(len(film) - frames + 1 for film in self._films))

    def __len__(self) -> int:
        return self._ends[-1]

    def name(self, index: int) -> str:
        """Returns what messages call the clip: its first frame."""
        return str(self._paths(index)[0])

    def example(self, index: int) -> dict[str, Any]:
        """Returns the clip as `{'hq': [t, h, w, 3]}`; raises `ImageError`."""
        images = [read_image(path) for path in self._paths(index)]
        if len({(image.shape, image.dtype) for image in images}) > 1:
            raise ImageError(self.name(index), 'the frames of its clip are not all of one kind')
        return {'hq': np.stack(images)}

    def _paths(self, index: int) -> Sequence[pathlib.Path]:
        film = bisect.bisect_right(self._ends, index)
        start = index - (self._ends[film - 1] if film else 0)
        return self._films[film][start : start + self._frames]


def check_length(name: str, count: int, frames: int) -> None:
    """Raises InputError for a film of fewer frames than a clip has."""
    if count < frames:
        raise InputError(
            f'{name} has {count} frames, fewer than a clip of {frames}: lower '
            'config.data.frames, or take it away'
        )


def open_part(rest: str, part: str, settings: DataSettings) -> FrameClips:
    """Opens the clips of folders: see `sr_jax.data.sources`."""
    folder = folder_of(rest)
    names = find_films(folder)
    whole = 'all' if settings.validation_source else part
    chosen = split_part(folder, names, whole, settings.validation_fraction)
    return FrameClips([folder / name for name in chosen], settings.frames)


def find_films(folder: pathlib.Path) -> list[str]:
    """Returns the folders below one that hold images, as paths from there.

    Raises:
      InputError: there are none.
    """
    names = {
        path.parent.relative_to(folder).as_posix()
        for path in folder.rglob('*')
        if path.suffix.lower() in SUFFIXES
    }
    if not names:
        raise InputError(f'{folder}: no images in the folders here ({" ".join(SUFFIXES)})')
    return sorted(names)


def folder_of(rest: str) -> pathlib.Path:
    """Returns where the folders lie."""
    return pathlib.Path(rest).expanduser()
