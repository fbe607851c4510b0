"""What the tests keep between runs, in a folder that git ignores: compiled programs, durations."""

import json
import pathlib
from collections import defaultdict
from collections.abc import Iterable, Mapping

FOLDER = pathlib.Path(__file__).parents[1] / '.cache'
PROGRAMS = FOLDER / 'jax'
DURATIONS = FOLDER / 'durations.json'
MAX_BYTES = 2 * 2**30  # of compiled programs
# As long as no durations are known, these files come first.
HEAVIEST: tuple[str, ...] = (
    'tests/test_documentation.py',
    'tests/test_configs.py',
    'tests/tasks/test_vqvae.py',
    'tests/tasks/test_flow.py',
    'tests/tasks/test_gan.py',
    'tests/layers/flow/test_steps.py',
    'tests/models/test_switched_vqvae.py',
    'tests/commands/test_many_processes.py',
    'tests/models/test_srflow.py',
    'tests/models/test_foreign_networks.py',
    'tests/models/test_code_priors.py',
    'tests/commands/test_prior_runs.py',
    'tests/commands/test_flow_runs.py',
    'tests/commands/test_switched_runs.py',
    'tests/test_notebooks.py',
    'tests/layers/test_switching.py',
    'tests/models/test_vqvae.py',
    'tests/devices/test_sharding.py',
)


def keep_programs(environment: dict[str, str]) -> None:
    """Lets JAX keep all that it compiles, however small: to be called before JAX is imported.

    All workers, the processes that tests start, and later runs share the folder. A folder that the
    environment names already is taken instead.
    """
    environment.setdefault('JAX_COMPILATION_CACHE_DIR', str(PROGRAMS))
    environment['JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS'] = '0'
    environment['JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES'] = '-1'


def read_durations() -> dict[str, float]:
    """Returns the seconds that each test took when it ran last, by its name."""
    try:
        return dict(json.loads(DURATIONS.read_text()))
    except (OSError, ValueError):
        return {}


def keep_durations(durations: Mapping[str, float]) -> None:
    """Writes the seconds of the tests that ran over those of earlier runs."""
    FOLDER.mkdir(exist_ok=True)
    partial = DURATIONS.with_suffix('.partial')
    rounded = {name: round(seconds, 2) for name, seconds in durations.items()}
    partial.write_text(json.dumps(read_durations() | rounded, indent=0))
    partial.replace(DURATIONS)


def file_of(name: str) -> str:
    """Returns the file of a test: 'tests/test_main.py' of 'tests/test_main.py::test_x[1]'."""
    return name.partition('::')[0]


def rank_files(names: Iterable[str], durations: Mapping[str, float]) -> dict[str, int]:
    """Returns the place of each file: by the seconds that the named tests took, most first."""
    seconds: dict[str, float] = defaultdict(float)
    for name in names:
        seconds[file_of(name)] += durations.get(name, 0.0)

    def place(file: str) -> tuple[float, int]:
        return -seconds[file], HEAVIEST.index(file) if file in HEAVIEST else len(HEAVIEST)

    return {file: number for number, file in enumerate(sorted(seconds, key=place))}
