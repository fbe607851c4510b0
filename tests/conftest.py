"""What every test shares: eight CPU devices, strict JAX, and the golden fixtures."""

import atexit
import os
import pathlib
import shutil
import tempfile
from collections.abc import Callable

# Read when JAX makes its first device, so they must be set before a test does anything. Most of the
# tests' time is LLVM's: what XLA makes of a program is as ever, its machine code is not optimised.
os.environ.setdefault('JAX_PLATFORMS', 'cpu')
for flag, value in (
    ('--xla_force_host_platform_device_count', 8),
    ('--xla_backend_optimization_level', 0),
):
    if flag not in os.environ.get('XLA_FLAGS', ''):
        os.environ['XLA_FLAGS'] = f'{os.environ.get("XLA_FLAGS", "")} {flag}={value}'.strip()
# What one process has compiled, all that take part in these tests need not compile again.
if 'JAX_COMPILATION_CACHE_DIR' not in os.environ:
    os.environ['JAX_COMPILATION_CACHE_DIR'] = tempfile.mkdtemp(prefix='sr_jax_compiled_')
    os.environ['JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS'] = '0.3'
    atexit.register(shutil.rmtree, os.environ['JAX_COMPILATION_CACHE_DIR'], True)

import hypothesis
import jax
import numpy as np
import pytest

FIXTURES = pathlib.Path(__file__).parent / 'fixtures'

# Shapes that broadcast by accident hide bugs: writing the axis out is cheap.
jax.config.update('jax_numpy_rank_promotion', 'raise')

# The same examples in every run, and no time limit, since the first one compiles.
hypothesis.settings.register_profile('reproducible', deadline=None, derandomize=True)
hypothesis.settings.load_profile('reproducible')


@pytest.fixture
def golden() -> Callable[[str], dict[str, np.ndarray]]:
    """Returns a function that loads the arrays of `tests/fixtures/<name>.npz`."""

    def load(name: str) -> dict[str, np.ndarray]:
        with np.load(FIXTURES / f'{name}.npz', allow_pickle=False) as arrays:
            return dict(arrays)

    return load
