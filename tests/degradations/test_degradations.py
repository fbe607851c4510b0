import jax
import numpy as np
import pytest

from sr_jax.degradations import degrade, read_settings, small_images, training_pair
from sr_jax.errors import InputError

BICUBIC = read_settings(dict(name='bicubic', rounded=True))
PAIRED = read_settings(dict(name='paired'))
HQ = np.random.default_rng(0).random((2, 24, 16, 3)).astype(np.float32)
KEY = jax.random.key(0)


def test_bicubic_images_need_no_luck():
    lq, target = degrade(HQ, 4, BICUBIC, KEY)
    assert target is HQ
    np.testing.assert_array_equal(lq, small_images({'hq': HQ}, 4, BICUBIC))
    np.testing.assert_array_equal(lq, training_pair({'hq': HQ}, 4, BICUBIC, KEY)[0])


def test_pairs_are_taken_as_they_are():
    lq = HQ[:, ::2, ::2]
    assert training_pair({'hq': HQ, 'lq': lq}, 2, PAIRED, KEY) == (lq, HQ)
    assert small_images({'hq': HQ, 'lq': lq}, 2, PAIRED) is lq
    assert small_images({'lq': lq}, 2, BICUBIC) is lq


def test_pairs_of_another_scale_are_refused():
    batch = {'hq': HQ, 'lq': HQ[:, ::2, ::2]}
    for take in (
        lambda: training_pair(batch, 4, PAIRED, KEY),
        lambda: small_images(batch, 4, BICUBIC),
    ):
        with pytest.raises(InputError, match='scale=4, but .* 2 times the side'):
            take()


def test_pairs_are_not_made():
    with pytest.raises(InputError, match='paired:<folder of hq>:<folder of lq>'):
        degrade(HQ, 4, PAIRED, KEY)
    with pytest.raises(InputError, match='paired:<folder of hq>:<folder of lq>'):
        small_images({'hq': HQ}, 4, PAIRED)
