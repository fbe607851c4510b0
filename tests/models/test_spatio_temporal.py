"""The discriminator of triplets: its norms, and what they leave of the means of what it sees."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sr_jax.errors import InputError
from sr_jax.layers import batch_norm, spectral_norm
from sr_jax.models.spatio_temporal import SpatioTemporalDiscriminator

SHAPE = (3, 16, 32, 27)


def pairs():
    """Real triplets, and generated ones that differ in nothing but that they are brighter."""
    noise = np.random.default_rng(0).random(SHAPE, np.float32)
    return {'real': noise / 4, 'fake': noise / 4 + 0.5}


def means(norm, layer):
    """Of each block, the mean of what its layer gives for real and for generated triplets."""
    model = SpatioTemporalDiscriminator(features=5, norm=norm)
    shown = pairs()
    variables = model.init(jax.random.key(0), shown['real'])
    found = {}
    for kind, x in shown.items():
        _, kept = model.apply(
            *(variables, x, True),
            capture_intermediates=lambda module, _: isinstance(module, layer),
            mutable=['intermediates', batch_norm.STATISTICS, spectral_norm.COLLECTION],
        )
        found[kind] = [y.mean((0, 1, 2)) for y in jax.tree.leaves(kept['intermediates'])]
    return found


def test_batch_norms_make_the_means_of_both_kinds_equal_and_spectral_norms_do_not():
    batch = means('batch', batch_norm.BatchNorm)
    spectral = means('spectral', spectral_norm.SpectralConvolution)
    assert len(batch['real']) == len(spectral['real']) == 4
    for real, fake in zip(batch['real'], batch['fake'], strict=True):
        np.testing.assert_allclose(real, fake, atol=1e-5)
    for real, fake in zip(spectral['real'], spectral['fake'], strict=True):
        assert np.abs(real - fake).max() > 0.01


def test_spectral_norms_have_vectors_that_training_moves():
    model = SpatioTemporalDiscriminator(features=5, norm='spectral')
    variables = model.init(jax.random.key(1), pairs()['real'])
    assert set(variables) == {'params', spectral_norm.COLLECTION}
    block, vectors = (variables[name]['block_2'] for name in sorted(variables))
    assert block['conv']['kernel'].shape == (4, 4, 5, 10)
    assert vectors['conv']['u'].shape == (10,)
    _, moved = model.apply(variables, pairs()['real'], True, mutable=[spectral_norm.COLLECTION])
    after = moved[spectral_norm.COLLECTION]['block_2']
    assert not np.allclose(after['conv']['u'], vectors['conv']['u'])


def test_another_norm_is_refused():
    with pytest.raises(InputError, match="norm is 'layer': it must be one of"):
        SpatioTemporalDiscriminator(norm='layer').init(jax.random.key(0), jnp.zeros(SHAPE))
