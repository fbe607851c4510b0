"""Films that several tests read, each made once."""

import pathlib
from collections.abc import Callable

import films
import pytest


@pytest.fixture(scope='session')
def film(tmp_path_factory) -> Callable[[str], pathlib.Path]:
    """Returns a function that gives the path of a film of `films.FILMS`."""
    folder = tmp_path_factory.mktemp('films')
    made: dict[str, pathlib.Path] = {}

    def get(name: str) -> pathlib.Path:
        if name not in made:
            suffix, make = films.FILMS[name]
            made[name] = folder / f'{name}{suffix}'
            make(made[name])
        return made[name]

    return get
