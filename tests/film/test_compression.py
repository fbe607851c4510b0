"""Clips through real encoders."""

import numpy as np
import pytest
from skimage import data

pytest.importorskip('av')

from sr_jax.degradations.settings import CODECS
from sr_jax.film import compression


def clip(frames=5):
    """An astronaut who moves, of sides that are odd."""
    image = data.astronaut()[100:165, 100:191].astype(np.float32) / 255
    return np.stack([np.roll(image, i, 1) for i in range(frames)])


def psnr(a, b):
    return -10 * np.log10(np.square(a - b).mean())


@pytest.mark.parametrize('codec', CODECS)
def test_frames_come_back_in_order_and_worse_the_stronger(codec):
    given = clip()
    found = {strength: compression.compress_clip(given, codec, strength) for strength in (2, 25)}
    assert psnr(found[2], given) > 36 > psnr(found[25], given) > 28
    assert found[2].shape == given.shape and found[2].dtype == np.float32
    errors = np.array([[np.abs(a - b).mean() for b in given] for a in found[2]])
    np.testing.assert_array_equal(errors.argmin(1), range(5))


def test_every_codec_of_the_settings_has_its_encoder():
    assert compression.ENCODERS.keys() == CODECS.keys()
