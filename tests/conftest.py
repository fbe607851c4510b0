"""What every test shares: eight CPU devices, strict JAX, and the golden fixtures."""

import os
import pathlib
from collections.abc import Callable

# Read when JAX makes its first device, so they must be set before a test does anything.
os.environ.setdefault('JAX_PLATFORMS', 'cpu')
DEVICES_FLAG = '--xla_force_host_platform_device_count'
if DEVICES_FLAG not in os.environ.get('XLA_FLAGS', ''):
    os.environ['XLA_FLAGS'] = f'{os.environ.get("XLA_FLAGS", "")} {DEVICES_FLAG}=8'.strip()

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
