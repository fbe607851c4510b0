"""A run small enough to train in a test, on one device."""

import jax
import pytest
from tiny import vqvae

from sr_jax.devices import sharding
from sr_jax.training import loop


def see_one_device(monkeypatch):
    make_mesh = sharding.make_mesh
    monkeypatch.setattr(
        sharding,
        'make_mesh',
        lambda devices=None, **axes: make_mesh(devices or jax.devices()[:1], **axes),
    )


@pytest.fixture
def one_device(monkeypatch):
    """Makes the commands see one device."""
    see_one_device(monkeypatch)


@pytest.fixture(scope='session')
def finished(tmp_path_factory):
    """A run of 4 steps in one go on one device: its folder and its result."""
    workdir = tmp_path_factory.mktemp('run')
    with pytest.MonkeyPatch.context() as monkeypatch:
        see_one_device(monkeypatch)
        return workdir, loop.train(vqvae(), workdir)
