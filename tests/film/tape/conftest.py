import numpy as np
import pytest
from skimage import data

from sr_jax.film.color import to_luma_chroma
from sr_jax.metrics.psnr import psnr

SIZE = 96, 140


@pytest.fixture(scope='session')
def scene():
    """A photograph's luma and chroma, [96, 140, 3]."""
    rgb = np.float32(data.astronaut()[80:176, 150:290]) / 255
    return np.asarray(to_luma_chroma(rgb, 'bt601'))


@pytest.fixture(scope='session')
def film(scene):
    """Nine frames of it, in which a part of another place moves to the right."""
    frames = np.repeat(scene[None], 9, axis=0)
    for number, frame in enumerate(frames):
        left = 10 + 4 * number
        frame[30:52, left : left + 25] = scene[60:82, 100:125]
    return frames


@pytest.fixture(scope='session')
def distance():
    """Returns the function (frames, reference) -> dB."""

    def measure(frames, reference):
        return psnr(np.asarray(frames), np.asarray(reference), 1)

    return measure


@pytest.fixture
def noise():
    """Returns the function (frames, standard deviation) -> noisy frames."""
    rng = np.random.default_rng(5)
    return lambda frames, sigma: np.float32(frames + rng.normal(0, sigma, frames.shape))
