"""What a config calls a source of data, opened: one module a kind, found by its name.

The kind is what stands before the colon: 'folder:photos' is opened by `sr_jax.data.sources.folder`.
Such a module exports

  FORM: how such a source is written, for messages, such as 'folder:<path>'.
  FIELDS: of which kind each part of its examples is, by key (`sr_jax.data.fields`).
  open_part(rest, part, settings): the `Source` of what stands behind the colon; `part` is 'train',
    'validation' or 'all'. Raises InputError when it cannot be opened.
  folder_of(rest): where it lies on the disk, so that training and validation do not overlap; may be
    left out.
"""

import difflib
import importlib
import os
import pathlib
import pkgutil
from collections.abc import Iterable, Sequence
from types import ModuleType

from sr_jax.config.extension import extend
from sr_jax.config.settings import DataSettings
from sr_jax.data.fields import Fields
from sr_jax.data.first_of import FirstOf
from sr_jax.data.protocol import Source
from sr_jax.errors import InputError

__path__ = extend(__path__, __name__)


def open_source(spec: str, part: str, settings: DataSettings) -> Source:
    """Opens a source such as 'photos', 'folder:<path>' or 'paired:<folder of hq>:<folder of lq>'.

    A folder is split by `settings.validation_fraction`, unless the validation examples are a source
    of their own (`settings.validation_source`): then all of it is taken.

    Args:
      spec: the source.
      part: 'train' or 'validation'.
      settings: how a folder is split.

    Raises:
      InputError: no such source, or it cannot be opened.
    """
    module, rest = find_kind(spec)
    source: Source = module.open_part(rest, part, settings)
    return source


def fields_of(spec: str) -> Fields:
    """Returns what the examples of a source hold, without opening it.

    Raises:
      InputError: no such source.
    """
    fields: Fields = find_kind(spec)[0].FIELDS
    return fields


def find_kind(spec: str) -> tuple[ModuleType, str]:
    """Returns the module of a source's kind, and what stands behind the colon.

    Raises:
      InputError: no such kind; names the nearest.
    """
    kind, colon, rest = spec.partition(':')
    if kind in _kinds():
        module = importlib.import_module(f'sr_jax.data.sources.{kind}')
        if bool(rest) == (':' in module.FORM) and bool(colon) == bool(rest):
            return module, rest
    raise no_such_source(spec)


def training_source(settings: DataSettings) -> Source:
    """Opens the examples to train on."""
    _refuse_overlap(settings)
    source = open_source(settings.source, 'train', settings)
    if settings.max_examples:
        return FirstOf(source, min(settings.max_examples, len(source)))
    return source


def validation_source(settings: DataSettings) -> Source:
    """Opens the examples to validate on: of `validation_source`, or the part held out."""
    _refuse_overlap(settings)
    return open_source(settings.validation_source or settings.source, 'validation', settings)


def _forms_with(fields: Iterable[str]) -> list[str]:
    """Returns how sources are written that hold certain fields."""
    modules = (importlib.import_module(f'sr_jax.data.sources.{kind}') for kind in _kinds())
    return [module.FORM for module in modules if set(fields) <= set(module.FIELDS)]


def _kinds() -> list[str]:
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def no_such_source(spec: str, kinds: Sequence[str] = ()) -> InputError:
    """Returns the error for a source that is of no kind, or of none of some, with the nearest."""
    kinds = kinds or _kinds()
    modules = {kind: importlib.import_module(f'sr_jax.data.sources.{kind}') for kind in kinds}
    forms = {kind: module.FORM for kind, module in modules.items()}
    nearest = difflib.get_close_matches(spec.partition(':')[0], forms, n=1)
    guess = f'did you mean {forms[nearest[0]]!r}? ' if nearest else ''
    if 'folder' in kinds and os.path.isdir(spec):
        guess = f'did you mean {f"folder:{spec}"!r}? '
    there = ', '.join(forms.values())
    return InputError(f'no such data source: {spec!r}; {guess}There are {there}')


def _refuse_overlap(settings: DataSettings) -> None:
    """Raises InputError for two folders, one within the other, to train and to validate on."""
    folders: list[pathlib.Path] = []
    for spec in (settings.source, settings.validation_source):
        if not spec:
            return
        module, rest = find_kind(spec)
        if not hasattr(module, 'folder_of'):
            return
        folders.append(module.folder_of(rest).resolve())
    train, validation = folders
    if train.is_relative_to(validation) or validation.is_relative_to(train):
        raise InputError(
            f'the training images in {train} and the validation images in {validation} '
            "overlap; give separate folders, or set config.data.validation_source to '' to hold "
            'out a part of the training folder'
        )


def choose_fields(source: Source, wanted: Iterable[str], spec: str) -> Fields:
    """Returns the wanted ones of a source's fields; all of them where none is named.

    Args:
      source: the examples.
      wanted: keys of its fields; none: all of them.
      spec: what the config calls the source, for messages.

    Raises:
      InputError: it has no such field.
    """
    wanted = list(wanted) or list(source.fields)
    missing = [name for name in wanted if name not in source.fields]
    if missing:
        raise InputError(
            f'the task needs {", ".join(map(repr, missing))} of each example, but '
            f'the source {spec!r} holds {", ".join(map(repr, source.fields))}: take another one'
            + ''.join(f', such as {form}' for form in _forms_with(missing))
        )
    return {name: source.fields[name] for name in wanted}
