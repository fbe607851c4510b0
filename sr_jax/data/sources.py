"""What a config calls a source of pictures, opened."""

import difflib
import pathlib
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Num

from sr_jax.data.folder import open_folder
from sr_jax.data.photos import open_photos
from sr_jax.data.settings import DataSettings
from sr_jax.errors import InputError

_FORMS = ('photos', 'folder:<path>', 'tfds:<name>')


@runtime_checkable
class Source(Protocol):
    """A random-access sequence of pictures."""

    def __len__(self) -> int: ...

    def name(self, index: int) -> str:
        """What messages call the picture."""

    def pixels(self, index: int) -> Num[np.ndarray, 'h w 3']:
        """The picture in its own precision; raises `image_io.PictureError` when it is broken."""

    def __getitem__(self, index: int) -> Float[np.ndarray, 'h w 3']:
        """The picture as float32 in [0, 1]."""


def open_source(spec: str, part: str, settings: DataSettings) -> Source:
    """Opens 'photos', 'folder:<path>' or 'tfds:<name>'.

    A folder is split by `settings.validation_fraction`, unless the validation pictures are a
    source of their own (`settings.validation_source`): then all of it is taken.

    Args:
      spec: the source.
      part: 'train' or 'validation'.
      settings: how a folder is split.

    Raises:
      InputError: no such source, or it cannot be opened.
    """
    kind, _, rest = spec.partition(':')
    if spec == 'photos':
        return open_photos(part)
    if kind == 'folder' and rest:
        whole = bool(settings.validation_source)
        return open_folder(rest, 'all' if whole else part, settings.validation_fraction)
    if kind == 'tfds' and rest:
        from sr_jax.data.tfds import TfdsPictures  # a slow import that only this source needs

        return TfdsPictures(rest, part)
    raise InputError(f'no such data source: {spec!r}; {_nearest(kind)}')


def training_source(settings: DataSettings) -> Source:
    """Opens the pictures to train on."""
    _refuse_overlap(settings)
    return open_source(settings.source, 'train', settings)


def validation_source(settings: DataSettings) -> Source:
    """Opens the pictures to validate on: of `validation_source`, or the part held out."""
    _refuse_overlap(settings)
    return open_source(settings.validation_source or settings.source, 'validation', settings)


def _nearest(kind: str) -> str:
    forms = {form.partition(':')[0]: form for form in _FORMS}
    nearest = difflib.get_close_matches(kind, forms, n=1)
    guess = f'did you mean {forms[nearest[0]]!r}? ' if nearest else ''
    return f'{guess}There are {", ".join(_FORMS)}'


def _refuse_overlap(settings: DataSettings) -> None:
    """Two folders, one within the other, would be trained on and validated on."""
    folders = []
    for spec in (settings.source, settings.validation_source):
        kind, _, path = spec.partition(':')
        if kind != 'folder':
            return
        folders.append(pathlib.Path(path).expanduser().resolve())
    train, validation = folders
    if train.is_relative_to(validation) or validation.is_relative_to(train):
        raise InputError(
            f'the training pictures in {train} and the validation pictures in {validation} '
            "overlap; give separate folders, or set config.data.validation_source to '' to hold "
            'out a part of the training folder'
        )
