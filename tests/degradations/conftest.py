"""Photographs, and the published settings of the second order."""

import jax.numpy as jnp
import numpy as np
import pytest

from configs import rrdb
from sr_jax.data.sources.photos import open_photos
from sr_jax.degradations import read_settings
from sr_jax.degradations.canvas import Canvas


@pytest.fixture(scope='session')
def photograph():
    """The face of a cat, 96 x 112 pixels of 8 bits."""
    return open_photos('validation').pixels(0)[80:176, 120:232]


@pytest.fixture
def published():
    """Returns the section `config.degradation` of Real-ESRNet."""
    return rrdb.get_config('real').degradation


@pytest.fixture
def settings(published):
    return read_settings(published)


@pytest.fixture
def on_canvas():
    """Returns a function that puts an image into the corner of an array full of noise."""

    def put(pixels, height, width):
        array = np.random.default_rng(0).random((height, width, 3)).astype(np.float32)
        array[: pixels.shape[0], : pixels.shape[1]] = pixels
        size = (jnp.int32(side) for side in pixels.shape[:2])
        return Canvas(jnp.asarray(array), *size)

    return put
