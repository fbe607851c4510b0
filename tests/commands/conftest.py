"""A run small enough to train in a test, on one device."""

import jax
import pytest

from sr_jax import sharding


@pytest.fixture(scope='session', autouse=True)
def compilations_are_kept(tmp_path_factory):
    """The runs of these tests compile the same few functions again and again."""
    jax.config.update('jax_compilation_cache_dir', str(tmp_path_factory.mktemp('xla')))
    jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.0)
    yield
    jax.config.update('jax_compilation_cache_dir', None)


@pytest.fixture
def one_device(monkeypatch):
    """Makes the commands see one device."""
    make_mesh = sharding.make_mesh
    monkeypatch.setattr(
        sharding, 'make_mesh', lambda devices=None: make_mesh(devices or jax.devices()[:1])
    )

