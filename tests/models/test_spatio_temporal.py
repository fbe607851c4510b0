"""The discriminator of triplets: its norms, and what they leave to tell real ones by."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from sr_jax.errors import InputError
from sr_jax.layers import spectral_norm
from sr_jax.losses import adversarial
from sr_jax.models.spatio_temporal import SpatioTemporalDiscriminator
from sr_jax.tasks.shared import discriminator as passes

SHAPE = (3, 16, 32, 27)


def pairs():
    """Real triplets, and generated ones that differ in nothing but that they are brighter."""
    noise = np.random.default_rng(0).random(SHAPE, np.float32)
    return {'real': noise / 4, 'fake': noise / 4 + 0.5}


def loss_after(norm, steps=100):
    """What a discriminator loses on the pairs, when it has learned from them."""
    model = SpatioTemporalDiscriminator(features=4, norm=norm)
    shown, optimizer = pairs(), optax.adam(2e-3)
    variables = model.init(jax.random.key(0), shown['real'])
    params = variables.pop('params')

    def lose(params, variables):
        logits, variables, _ = passes.apply_to_both(model, params, variables, shown)
        return adversarial.discriminator_loss(logits['real'], logits['fake'], 'vanilla'), variables

    def learn(_, carried):
        params, variables, state, _ = carried
        (value, variables), gradients = jax.value_and_grad(lose, has_aux=True)(params, variables)
        updates, state = optimizer.update(gradients, state)
        return optax.apply_updates(params, updates), variables, state, value

    carried = (params, variables, optimizer.init(params), jnp.inf)
    return float(jax.jit(functools.partial(jax.lax.fori_loop, 0, steps, learn))(carried)[-1])


def test_batch_norms_hide_what_the_batches_differ_in_and_spectral_norms_do_not():
    batch, spectral = (loss_after(norm) for norm in ('batch', 'spectral'))
    assert 1.0 < batch < 2 * np.log(2)  # of chance
    assert spectral < 0.7 * batch


def test_spectral_norms_bound_the_blocks():
    model = SpatioTemporalDiscriminator(features=3, norm='spectral')
    variables = model.init(jax.random.key(1), pairs()['real'])
    assert set(variables) == {'params', spectral_norm.COLLECTION}
    block, vectors = (variables[name]['block_2'] for name in sorted(variables))
    assert block['conv']['kernel'].shape == (4, 4, 3, 6)
    assert vectors['conv']['u'].shape == (6,)
    _, moved = model.apply(variables, pairs()['real'], True, mutable=[spectral_norm.COLLECTION])
    after = moved[spectral_norm.COLLECTION]['block_2']
    assert not np.allclose(after['conv']['u'], vectors['conv']['u'])


def test_another_norm_is_refused():
    with pytest.raises(InputError, match="norm is 'layer': it must be one of"):
        SpatioTemporalDiscriminator(norm='layer').init(jax.random.key(0), jnp.zeros(SHAPE))
