import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from sr_jax import tasks
from sr_jax.config.defaults import defaults
from sr_jax.errors import InputError
from sr_jax.models.pixpro import PixPro
from sr_jax.tasks import pixel_contrast


def make(**changes):
    config = tiny.shrink(defaults('pixel_contrast', model='pixpro'))
    return tiny.changed(config, **changes)


def test_propagation_is_the_authors():
    module = PixPro(10, 2, 'small', hidden=3, latents=5, power=2.0)
    x = np.random.default_rng(0).standard_normal((2, 3, 4, 5)).astype(np.float32)
    kernel = np.random.default_rng(1).standard_normal((1, 1, 5, 5)).astype(np.float32)
    params = {'value': {'kernel': kernel, 'bias': np.float32([0.1, 0, -0.2, 0.3, 0])}}
    found = jax.jit(lambda x: module.apply({'params': params}, x, method='propagate'))(x)
    flat = x.reshape(2, 12, 5)
    values = flat @ kernel[0, 0] + params['value']['bias']
    values /= np.linalg.norm(values, axis=-1, keepdims=True)
    unit = flat / np.linalg.norm(flat, axis=-1, keepdims=True)
    similarity = np.maximum(unit @ unit.transpose(0, 2, 1), 0) ** 2
    expected = similarity @ values
    expected /= np.linalg.norm(expected, axis=-1, keepdims=True)
    np.testing.assert_allclose(found.reshape(2, 12, 5), expected, atol=1e-5)


def test_the_average_moves_by_half_a_cosine_and_only_what_keys_are_made_of():
    params = {name: {'w': jnp.full(2, 3.0)} for name in ('backbone', 'projector', 'value')}
    old = {name: {'w': jnp.full(2, 1.0)} for name in pixel_contrast.AVERAGED}
    for moved in (0, 4, 9):
        variables = {'target': {'params': old, 'moved': jnp.int32(moved)}}
        found = pixel_contrast.update_collections(0.9, 10, params, variables, {})['target']
        rest = 0.1 * (np.cos(np.pi * (moved + 1) / 10) + 1) / 2
        assert found['params'].keys() == {'backbone', 'projector'}
        np.testing.assert_allclose(found['params']['projector']['w'], 1 + 2 * rest, rtol=1e-6)
        assert found['moved'] == moved + 1


def test_equal_latents_agree_and_the_loss_is_minus_two_for_each_view():
    view = pixel_contrast.View(None, jnp.asarray([[0.0, 0, 1, 1], [0.2, 0, 1, 0.5]]))
    latents = jnp.zeros((2, 3, 4, 5)).at[..., 0].set(1)
    found = pixel_contrast.compare([latents] * 2, [latents] * 2, [view] * 2)
    np.testing.assert_allclose(found, 2, rtol=1e-5)


def test_a_step_has_the_same_shapes_and_the_keys_no_gradient():
    task = tasks.make(make())
    batch = task.batch(4)
    state = jax.eval_shape(task.init, jax.random.key(0), batch)
    assert state.variables['target']['params'].keys() == {'backbone', 'projector'}
    new, metrics = jax.eval_shape(task.train_step, state, batch, jax.random.key(1))
    assert jax.tree.map(jnp.shape, new) == jax.tree.map(jnp.shape, state)
    assert metrics['agreement'].shape == ()
    outputs = jax.eval_shape(task.predict, state.inference_variables(), batch, jax.random.key(2))
    assert outputs['views'].shape == (4, 2, 16, 16, 3)
    assert outputs['latents'].shape == (4, 2, 2, 5) and outputs['agreement'].shape == (4,)


def test_latents_are_drawn_in_three_colors():
    latents = np.random.default_rng(0).standard_normal((2, 3, 4, 5)).astype(np.float32)
    drawn = pixel_contrast.color_latents(latents, (11, 16))
    assert drawn.shape == (2, 11, 16, 3)
    assert drawn.min() == 0 and drawn.max() == 1
    np.testing.assert_array_equal(drawn[:, :4, :4], drawn[:, :1, :1].repeat(4, 1).repeat(4, 2))


def test_bad_settings_are_named():
    with pytest.raises(InputError, match="config.model.name='unet'"):
        tasks.make(tiny.shrink(defaults('pixel_contrast', model='unet')))
    with pytest.raises(InputError, match=r'momentum must be in \[0, 1\]'):
        pixel_contrast.LossSettings(1.5)
