"""Images in a folder, and which of them are held out for validation."""

import hashlib
import pathlib
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Num

from sr_jax.config.settings import DataSettings
from sr_jax.data.fields import IMAGE
from sr_jax.errors import InputError
from sr_jax.images.decoding import to_float
from sr_jax.images.files import image_size, list_images, read_image
from sr_jax.images.formats import SUFFIXES

FORM = 'folder:<path>'
FIELDS = {'hq': IMAGE}


class ImageFiles:
    """A random-access sequence of image files.

    Args:
      paths: the files.
      names: what messages call them; the paths themselves when left out.
    """

    def __init__(self, paths: Sequence[str], names: Sequence[str] | None = None):
        self._paths = list(paths)
        self._names = self._paths if names is None else list(names)

    fields = FIELDS

    def __len__(self) -> int:
        return len(self._paths)

    def name(self, index: int) -> str:
        """Returns what messages call the image."""
        return self._names[index]

    def pixels(self, index: int) -> Num[np.ndarray, 'h w 3']:
        """Returns the image in its own precision (`read_image`); raises `ImageError`."""
        return read_image(self._paths[index])

    def example(self, index: int) -> dict[str, np.ndarray]:
        """Returns the image as `{'hq': pixels}`."""
        return {'hq': self.pixels(index)}

    def size(self, index: int) -> tuple[int, int]:
        """Returns height and width of the image, from its header alone; raises `ImageError`."""
        return image_size(self._paths[index])

    def __getitem__(self, index: int) -> Float[np.ndarray, 'h w 3']:
        """Returns the image as float32 in [0, 1]."""
        return to_float(self.pixels(index))


def open_part(rest: str, part: str, settings: DataSettings) -> ImageFiles:
    """Opens the images of a folder: see `sr_jax.data.sources`."""
    whole = 'all' if settings.validation_source else part
    return open_folder(rest, whole, settings.validation_fraction)


def folder_of(rest: str) -> pathlib.Path:
    """Returns where the images lie."""
    return pathlib.Path(rest).expanduser()


def open_folder(path: str, part: str, validation_fraction: float) -> ImageFiles:
    """Opens the images of a folder and of the folders in it.

    Args:
      path: the folder; '~' is the home folder.
      part: 'all', or 'train' or 'validation' for one side of `split_names`.
      validation_fraction: expected size of the validation part.

    Raises:
      InputError: the folder is missing or has no image, or has a single one to be split.
    """
    folder = pathlib.Path(path).expanduser()
    return open_images(folder, split_part(folder, image_names(folder), part, validation_fraction))


def open_images(folder: pathlib.Path, names: Sequence[str]) -> ImageFiles:
    """Opens images of a folder, by their paths from there."""
    return ImageFiles([str(folder / name) for name in names])


def image_names(folder: pathlib.Path) -> list[str]:
    """Lists the images in a folder and below it, sorted, by their paths from there.

    Raises:
      InputError: the folder is missing or has no image.
    """
    names = [found.relative_to(folder).as_posix() for found in list_images(folder)]
    if not names:
        database = f'; as an LMDB database it is lmdb:{folder}'
        raise InputError(
            f'{folder}: no images in this folder or below it '
            f'(looked for {", ".join(SUFFIXES)})'
            + (database if (folder / 'data.mdb').is_file() else '')
        )
    return names


def split_part(
    folder: pathlib.Path, names: list[str], part: str, validation_fraction: float
) -> list[str]:
    """Returns the names of one part of a folder: 'all', or a side of `split_names`.

    Args:
      folder: for messages.
      names: of its images.
      part: 'all', 'train' or 'validation'.
      validation_fraction: expected size of the validation part.

    Raises:
      InputError: a single name is to be split.
    """
    if part == 'all':
        return names
    if len(names) < 2:
        raise InputError(
            f'{folder}: one image cannot be split into training and validation; '
            'add images, or set config.data.validation_source'
        )
    train, validation = split_names(names, validation_fraction)
    return train if part == 'train' else validation


def split_names(names: list[str], fraction: float) -> tuple[list[str], list[str]]:
    """Splits two or more names into training and validation, at least one in each.

    A name's side depends on a hash of the name alone, so it keeps its side when files are added
    (but for the one name that may stand in for an otherwise empty side).
    """
    positions = {name: _position(name) for name in names}
    validation = {name for name in names if positions[name] < fraction}
    if not validation:
        validation.add(min(names, key=positions.__getitem__))
    if len(validation) == len(names):
        validation.remove(max(names, key=positions.__getitem__))
    return [n for n in names if n not in validation], [n for n in names if n in validation]


def _position(name: str) -> float:
    """Returns where a name falls in [0, 1)."""
    digest = hashlib.sha256(name.encode('utf-8', 'surrogateescape')).digest()
    return int.from_bytes(digest[:6], 'big') / 2**48
