"""Pins the number of parameters of every network."""

import jax
import jax.numpy as jnp
import pytest

from sr_jax.models import vgg
from sr_jax.models.vqvae import VQVAE

CASES = [
    (VQVAE(), 1_388_867),
    (VQVAE(upsampling='nearest', bottom_codebook_size=1024), 1_724_099),
    (VQVAE(channels=64, res_channels=16), 493_859),
    (vgg.Model(('relu5_3',), depth=16), 14_714_688),
    (vgg.Model(('conv5_4',), depth=19), 20_024_384),
    (vgg.Model(('relu1_1',)), 1_792),
]


@pytest.mark.parametrize(('model', 'count'), CASES)
def test_parameter_count(model, count):
    shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 8, 8, 3)))
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes['params'])) == count
