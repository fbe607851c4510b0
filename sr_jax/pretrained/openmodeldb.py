"""Weights by their names in OpenModelDB, the largest public catalogue of such networks.

Its catalogue, one JSON file, says of each model where its files lie, their SHA-256, its scale,
architecture and license. It is asked for a file that is not here yet, and nothing is asked but it
and the addresses in it. Both it and the files are kept in the folder of published weights; what is
there is used without a network.

The package `openmodeldb` 1.3.5 is not used: it drops what it has when a connection breaks.
"""

import difflib
import json
import os
import re
import time
import urllib.parse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from sr_jax.errors import InputError
from sr_jax.images import atomic
from sr_jax.pretrained import download, named

PREFIX = 'openmodeldb:'
CATALOGUE = 'https://openmodeldb.info/api/v1/models.json'
MAX_AGE = 24 * 3600  # seconds of a catalogue from which files are fetched
MAX_CATALOGUE = 2**26  # bytes; it has a million
NAMES = 3  # at most so many that are like a wrong one are told
TYPES = ('safetensors', 'pth')  # the first is preferred
DRIVE = r'https://drive\.google\.com/(?:file/d/|open\?id=|uc\?.*?\bid=)([\w-]+)'


class Model(NamedTuple):
    """One model of the catalogue, with the file of it that is read here.

    Attributes:
      name: its key.
      authors: who made it.
      license: of the weights; None where the catalogue does not say.
      architecture: as the catalogue calls it.
      scale: output pixels per input pixel along a side.
      type: of the file.
      sha256: of the file.
      size: its bytes; None: not known.
      addresses: where it may be had.
    """

    name: str
    authors: str
    license: str | None
    architecture: str
    scale: int
    type: str
    sha256: str
    size: int | None
    addresses: tuple[str, ...]

    def describe(self) -> str:
        """A line about it."""
        terms = self.license or 'not said there, so ask who made it'
        return f'{self.architecture}, scale {self.scale}, by {self.authors}; license: {terms}'


def find(source: str, report: Callable[[str], None] = print) -> tuple[Model, Path]:
    """A model and its file, which is fetched if it is not here yet.

    Args:
      source: 'openmodeldb:' and the name of a model, as in the address of its page.
      report: is given its license, and a line when it is fetched.

    Raises:
      InputError: no such model, it cannot be fetched, or the file is not that of the catalogue.
    """
    name = source.removeprefix(PREFIX)
    model = _find_model(name, report)
    path = _place(model)
    if not path.exists():
        _fetch(model, path, report)
    found = download.sha256_of(path)
    if found != model.sha256.lower():
        raise InputError(
            f'{path} is not the file that OpenModelDB has as {name} (SHA-256 {found}, not '
            f'{model.sha256}): remove it, and it is fetched again'
        )
    report(f'{source}: {model.describe()}')
    return model, path


def folder() -> Path:
    """Where the catalogue and its files are kept."""
    return named.kept_folder() / 'openmodeldb'


def _find_model(name: str, report: Callable[[str], None]) -> Model:
    """The model from the catalogue kept here if its file is here too, else from one of today."""
    kept = _read_catalogue()
    if name in kept and _place(model := _choose(name, kept[name])).exists():
        return model
    if not download.is_offline() and _is_old(_catalogue_path()):
        kept = _fetch_catalogue(report)
    if not kept:
        raise InputError(f'the catalogue is not here, and {download.OFFLINE} is set: {_remedy()}')
    if name not in kept:
        close = difflib.get_close_matches(name, kept, n=NAMES, cutoff=0.5)
        known = f'; there are {", ".join(close)}' if close else ''
        raise InputError(f'OpenModelDB has no model {name!r}{known}: see https://openmodeldb.info')
    return _choose(name, kept[name])


def _catalogue_path() -> Path:
    return folder() / 'models.json'


def _place(model: Model) -> Path:
    """Where its file is kept; whatever a catalogue says, within our folder."""
    return folder() / f'{model.name.replace(os.sep, "_").lstrip(".")}.{model.type}'


def _is_old(path: Path) -> bool:
    return not path.exists() or time.time() - path.stat().st_mtime > MAX_AGE


def _remedy() -> str:
    return f'put {CATALOGUE} into {folder()}, and the file of weights beside it'


def _read_catalogue() -> dict[str, Any]:
    """The catalogue kept here; empty if there is none."""
    path = _catalogue_path()
    try:
        return _parse(path.read_bytes()) if path.exists() else {}
    except (OSError, ValueError) as error:
        raise InputError(f'{path}: damaged ({error}): remove it and it comes anew') from error


def _fetch_catalogue(report: Callable[[str], None]) -> dict[str, Any]:
    path = _catalogue_path()
    report(f'fetching the catalogue of OpenModelDB into {path}')
    try:
        data = download.fetch_bytes(CATALOGUE, MAX_CATALOGUE)
        found = _parse(data)
    except (download.FetchError, ValueError) as error:
        raise InputError(
            f'the catalogue of OpenModelDB could not be fetched ({error}): {_remedy()}'
        ) from error
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f'{path} cannot be written: {error.strerror or error}') from error
    atomic.write(path, data)
    return found


def _parse(data: bytes) -> dict[str, Any]:
    """The catalogue's models by name.

    Raises:
      ValueError: it is something else.
    """
    found = json.loads(data)
    if not isinstance(found, dict):
        raise ValueError('no catalogue of models by name')
    return found


def _choose(name: str, entry: Mapping[str, Any]) -> Model:
    """The model of an entry, with the file that is read here.

    Raises:
      InputError: it has no such file, or none that could be verified, or the entry is damaged.
    """
    try:
        return _take(name, entry)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise InputError(
            f'{_catalogue_path()}: its entry {name} is damaged ({error!r}): remove the file, and '
            'it is fetched again'
        ) from error


def _take(name: str, entry: Mapping[str, Any]) -> Model:
    files = [file for type in TYPES for file in entry['resources'] if file['type'] == type]
    if not files:
        types = ', '.join(sorted({str(file['type']) for file in entry['resources']}))
        raise InputError(f'{name} of OpenModelDB has no file of {" or ".join(TYPES)}, but {types}')
    verified = [file for file in files if file.get('sha256')]
    if not verified:
        raise InputError(
            f'OpenModelDB has no SHA-256 of {name}, so that its file cannot be verified: if you '
            f'trust it, fetch it from {" or ".join(files[0]["urls"])} and name the file'
        )
    return _describe(name, entry, verified[0])


def _describe(name: str, entry: Mapping[str, Any], file: Mapping[str, Any]) -> Model:
    authors = entry['author']
    return Model(
        name=name,
        authors=_printable(authors if isinstance(authors, str) else ', '.join(authors)),
        license=_printable(entry['license']) if entry.get('license') else None,
        architecture=_printable(entry['architecture']),
        scale=int(entry['scale']),
        type=file['type'],
        sha256=str(file['sha256']),
        size=file.get('size'),
        addresses=tuple(_printable(address) for address in file['urls']),
    )


def _printable(text: str) -> str:
    """A text from elsewhere without what a terminal would obey."""
    return ''.join(letter for letter in text if letter.isprintable())


def _fetch(model: Model, path: Path, report: Callable[[str], None]) -> None:
    places = ' or '.join(model.addresses)
    remedy = f'fetch it by hand from {places} and put it here as {path}'
    if download.is_offline():
        raise InputError(f'{model.name} is not here, and {download.OFFLINE} is set: {remedy}')
    size = '' if model.size is None else f' ({model.size / 2**20:.1f} MiB)'
    report(f'fetching {PREFIX}{model.name}{size} into {path}; {model.describe()}')
    try:
        addresses = [direct_address(address) for address in model.addresses]
        download.fetch_file(addresses, path, model.sha256, model.size)
    except download.FetchError as error:
        raise InputError(f'{model.name} could not be fetched ({error}): {remedy}') from error


def direct_address(address: str) -> str:
    """The address of a file itself where the one given is Google Drive's page about it."""
    if found := re.match(DRIVE, address):
        query = urllib.parse.urlencode({'export': 'download', 'confirm': 't', 'id': found[1]})
        return f'https://drive.google.com/uc?{query}'
    return address

