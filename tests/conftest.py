"""What every test shares: eight CPU devices, strict JAX, compiled programs, the golden fixtures."""

import gc
import importlib.util
import os
import pathlib
import re
from collections.abc import Callable

import kept

# Read when JAX makes its first device, so they must be set before a test does anything. Most of the
# tests' time is compiling: LLVM makes machine code that is not optimised, all at once, since
# another process has the other core. (XLA's own preset for fast compiling takes 3 to 9 % longer.)
os.environ.setdefault('JAX_PLATFORMS', 'cpu')
for flag, value in (
    ('--xla_force_host_platform_device_count', 8),
    ('--xla_backend_optimization_level', 0),
    ('--xla_cpu_parallel_codegen_split_count', 1),
):
    if flag not in os.environ.get('XLA_FLAGS', ''):
        os.environ['XLA_FLAGS'] = f'{os.environ.get("XLA_FLAGS", "")} {flag}={value}'.strip()
# What one process has compiled, no other compiles again.
kept.keep_programs(os.environ)

import hypothesis
import jax
import numpy as np
import pytest

DURATIONS = pytest.StashKey[dict[str, float]]()
# A process may have 65,530; a program takes about eight.
MAX_MAPS = 40_000
FOLDER = pathlib.Path(__file__).parent
FIXTURES = FOLDER / 'fixtures'

# PyAV needs Python 3.12; under 3.11 only what reads no film is tested.
USERS_OF_PYAV = (
    r'av|films|film_copies|film_making|television_films|sr_jax\.film\.(numbered|reader|report)'
    r'|sr_jax\.inference\.film\.(batches|job|run)'
)
if importlib.util.find_spec('av') is None:
    imports = re.compile(rf'^(import|from) ({USERS_OF_PYAV})\b', re.MULTILINE)
    collect_ignore = [
        str(path.relative_to(FOLDER))
        for path in FOLDER.rglob('test_*.py')
        if imports.search(path.read_text(encoding='utf-8'))
    ]

# Shapes that broadcast by accident hide bugs: writing the axis out is cheap.
jax.config.update('jax_numpy_rank_promotion', 'raise')

# The same examples in every run, and no time limit, since the first one compiles.
hypothesis.settings.register_profile('reproducible', deadline=None, derandomize=True)
hypothesis.settings.load_profile('reproducible')


def is_worker(config: pytest.Config) -> bool:
    """Returns whether this is one of several processes that share the tests."""
    return hasattr(config, 'workerinput')


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Brings the longest files first where several processes share them: none waits at the end."""
    if is_worker(config):
        names = [item.nodeid for item in items]
        ranks = kept.rank_files(names, kept.read_durations())
        items.sort(key=lambda item: ranks[kept.file_of(item.nodeid)])


def pytest_configure(config: pytest.Config) -> None:
    """Notes how long each test takes."""
    config.stash[DURATIONS] = {}
    config.pluginmanager.register(Stopwatch(config.stash[DURATIONS]))


def pytest_collection_finish() -> None:
    """Lets the garbage collector pass over what is imported, and come seldom: tracing makes many
    objects, of which few are garbage."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


class Stopwatch:
    """Adds up what a test's set-up, call and tear-down take.

    Args:
      durations: seconds by the tests' names, which it changes.
    """

    def __init__(self, durations: dict[str, float]):
        self._durations = durations

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._durations[report.nodeid] = self._durations.get(report.nodeid, 0) + report.duration


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Keeps the durations, and bounds the compiled programs, once for all processes."""
    gc.unfreeze()  # nanobind calls what is never collected a leak
    if not is_worker(session.config):
        from sr_jax.devices.kept_programs import forget_old_programs

        kept.keep_durations(session.config.stash[DURATIONS])
        forget_old_programs(kept.PROGRAMS, kept.MAX_BYTES)


@pytest.fixture(autouse=True, scope='module')
def room_for_programs():
    """Forgets the programs of earlier files before Linux refuses to map another one, which ends the
    process."""
    maps = pathlib.Path('/proc/self/maps')
    if maps.exists() and maps.read_bytes().count(b'\n') > MAX_MAPS:
        jax.clear_caches()


@pytest.fixture
def golden() -> Callable[[str], dict[str, np.ndarray]]:
    """Returns a function that loads the arrays of `tests/fixtures/<name>.npz`."""

    def load(name: str) -> dict[str, np.ndarray]:
        with np.load(FIXTURES / f'{name}.npz', allow_pickle=False) as arrays:
            return dict(arrays)

    return load


@pytest.fixture
def one_device(monkeypatch):
    """Makes the trainer and the commands see one device."""
    import tiny

    tiny.see_one_device(monkeypatch)


@pytest.fixture(scope='session')
def finished(tmp_path_factory):
    """A VQ-VAE's run of 4 steps in one go on one device: its folder and its result."""
    import tiny

    from sr_jax.training import loop

    workdir = tmp_path_factory.mktemp('run')
    with pytest.MonkeyPatch.context() as monkeypatch:
        tiny.see_one_device(monkeypatch)
        return workdir, loop.train(tiny.vqvae(), workdir)


@pytest.fixture
def toy(monkeypatch):
    """The task 'tone', in place of a real one where what is tested is the same of all tasks."""
    import tiny

    tiny.find_toy(monkeypatch)


@pytest.fixture(scope='session')
def finished_toy(tmp_path_factory):
    """A run of 4 steps of `tiny.tone()` on one device: its folder and its result."""
    import tiny

    from sr_jax.training import loop

    workdir = tmp_path_factory.mktemp('toy')
    with pytest.MonkeyPatch.context() as monkeypatch:
        tiny.see_one_device(monkeypatch)
        tiny.find_toy(monkeypatch)
        return workdir, loop.train(tiny.tone(), workdir)


@pytest.fixture(scope='session')
def film(tmp_path_factory) -> Callable[[str], pathlib.Path]:
    """Returns a function that gives the path of a film of `films.FILMS`, each made once."""
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
