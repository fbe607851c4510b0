"""Films that several tests read, each made once."""

import importlib.util
import pathlib
import re
from collections.abc import Callable

import pytest

FOLDER = pathlib.Path(__file__).parent
ITS_USERS = r'av|films|film_copies|sr_jax\.film\.(numbered|report)'
WITH_PYAV = re.compile(rf'^(import|from) ({ITS_USERS})\b', re.MULTILINE)

# PyAV needs Python 3.12; under 3.11 only what reads no film is tested.
if importlib.util.find_spec('av') is None:
    collect_ignore = [
        path.name for path in FOLDER.glob('test_*.py') if WITH_PYAV.search(path.read_text())
    ]


@pytest.fixture(scope='session')
def film(tmp_path_factory) -> Callable[[str], pathlib.Path]:
    """Returns a function that gives the path of a film of `films.FILMS`."""
    import films

    folder = tmp_path_factory.mktemp('films')
    made: dict[str, pathlib.Path] = {}

    def get(name: str) -> pathlib.Path:
        if name not in made:
            suffix, make = films.FILMS[name]
            made[name] = folder / f'{name}{suffix}'
            make(made[name])
        return made[name]

    return get
