"""What a config calls a source of images, opened."""

import difflib
import pathlib

from sr_jax.config.settings import DataSettings
from sr_jax.data.folder import open_folder
from sr_jax.data.pairs import open_pairs, split_folders
from sr_jax.data.photos import open_photos
from sr_jax.data.protocol import Source
from sr_jax.errors import InputError

_FORMS = ('photos', 'folder:<path>', 'tfds:<name>', 'paired:<folder of hq>:<folder of lq>')


def open_source(spec: str, part: str, settings: DataSettings) -> Source:
    """Opens 'photos', 'folder:<path>', 'tfds:<name>' or 'paired:<folder of hq>:<folder of lq>'.

    A folder is split by `settings.validation_fraction`, unless the validation images are a
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
    if kind in ('folder', 'paired') and rest:
        whole = 'all' if settings.validation_source else part
        if kind == 'folder':
            return open_folder(rest, whole, settings.validation_fraction)
        return open_pairs(rest, whole, settings.validation_fraction, settings.crop_size)
    if kind == 'tfds' and rest:
        from sr_jax.data.tfds import TfdsImages  # a slow import that only this source needs

        return TfdsImages(rest, part)
    raise no_such_source(spec)


def training_source(settings: DataSettings) -> Source:
    """Opens the images to train on."""
    _refuse_overlap(settings)
    return open_source(settings.source, 'train', settings)


def validation_source(settings: DataSettings) -> Source:
    """Opens the images to validate on: of `validation_source`, or the part held out."""
    _refuse_overlap(settings)
    return open_source(settings.validation_source or settings.source, 'validation', settings)


def no_such_source(spec: str) -> InputError:
    """The error for a source that is of no kind, with the nearest kind."""
    forms = {form.partition(':')[0]: form for form in _FORMS}
    nearest = difflib.get_close_matches(spec.partition(':')[0], forms, n=1)
    guess = f'did you mean {forms[nearest[0]]!r}? ' if nearest else ''
    return InputError(f'no such data source: {spec!r}; {guess}There are {", ".join(_FORMS)}')


def _refuse_overlap(settings: DataSettings) -> None:
    """Two folders, one within the other, would be trained on and validated on."""
    folders = []
    for spec in (settings.source, settings.validation_source):
        kind, _, path = spec.partition(':')
        if kind not in ('folder', 'paired'):
            return
        folder = split_folders(path)[0] if kind == 'paired' else pathlib.Path(path).expanduser()
        folders.append(folder.resolve())
    train, validation = folders
    if train.is_relative_to(validation) or validation.is_relative_to(train):
        raise InputError(
            f'the training images in {train} and the validation images in {validation} '
            "overlap; give separate folders, or set config.data.validation_source to '' to hold "
            'out a part of the training folder'
        )
