"""What selectors learn by, and kernels that deviate from a shared one."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from parity import assert_close

from sr_jax.layers.convolution import convolve
from sr_jax.layers.random_draws import draw_in_loops
from sr_jax.layers.selector import Selector
from sr_jax.layers.soft_routing import blended_convolution
from sr_jax.layers.switched_conv import SwitchedConv


def random_layer(credit, seed=0, **changes):
    """A layer without a norm, its variables and an image."""
    x = jnp.asarray(np.random.default_rng(seed).normal(size=(5, 7, 6, 8)), jnp.float32)
    layer = SwitchedConv(
        9, 3, breadth=4, stride=2, network='standard', norm_size=0, credit=credit, **changes
    )
    return layer, jax.jit(draw_in_loops(layer.init))(jax.random.key(seed), x)['params'], x


@functools.partial(jax.jit, static_argnums=0)
def gradients(layer, params, x):
    """The output, and the gradients of the sum of its sines to params and x."""

    def value(params, x):
        y = layer.apply({'params': params}, x, True)
        return jnp.sin(3 * y).sum(), y

    (_, y), found = jax.value_and_grad(value, argnums=(0, 1), has_aux=True)(params, x)
    return y, *found


def test_equal_kernels_teach_a_selector_with_advantage_nothing():
    """So that a network just converted has the gradients of the dense one."""
    layer, params, x = random_layer('advantage')
    dense = params['kernel'][:1]
    params = {**params, 'kernel': jnp.repeat(dense, 4, axis=0)}
    _, of_params, of_x = gradients(layer, params, x)
    for value in jax.tree.leaves(of_params['selector']):
        np.testing.assert_allclose(value, 0, atol=1e-4)

    def value(x):
        return jnp.sin(3 * (convolve(x, dense[0], 2) + params['bias'][None, None, None])).sum()

    of_dense = jax.jit(jax.grad(value))(x)
    assert_close(of_x, of_dense, 1e-5)
    _, of_params, of_x = gradients(random_layer('output')[0], params, x)
    assert np.abs(of_params['selector']['conv']['kernel']).max() > 0.1
    assert np.abs(of_x - of_dense).max() > 0.1


@pytest.mark.parametrize('use_bias', [True, False])
def test_the_advantage_is_over_what_all_kernels_give_on_average(use_bias):
    layer, params, x = random_layer('advantage', use_bias=use_bias)
    y, of_params, of_x = gradients(layer, params, x)

    def value(params, x):
        """All kernels everywhere, the chosen ones' lead over the average with a gradient."""
        logits = Selector(4, 'standard', 2).apply({'params': params['selector']}, x, True)
        chosen = jax.nn.one_hot(jnp.argmax(logits, axis=-1), 4)
        kernel, bias = params['kernel'], params.get('bias')
        every = [
            blended_convolution(x, jnp.ones_like(chosen[..., :1]), kernel[i : i + 1], bias, 2)
            for i in range(4)
        ]
        every = jnp.stack(every, axis=-2)
        lead = jax.lax.stop_gradient(every - every.mean(axis=-2, keepdims=True))
        log_gates = jnp.sum(chosen * jax.nn.log_softmax(logits), axis=-1)
        # zero, but with the gradient of the logarithm
        gate = log_gates - jax.lax.stop_gradient(log_gates)
        y = jnp.einsum('nhwb,nhwbo->nhwo', chosen, every + gate[..., None, None] * lead)
        return jnp.sin(3 * y).sum(), y

    differentiate = jax.jit(jax.value_and_grad(value, argnums=(0, 1), has_aux=True))
    (_, expected), others = differentiate(params, x)
    assert_close(y, expected, 1e-5)
    jax.tree.map(functools.partial(assert_close, rtol=1e-4), (of_params, of_x), others)


def test_credit_changes_no_output():
    layer, params, x = random_layer('advantage')
    published, *_ = random_layer('output')
    y, *_ = gradients(layer, params, x)
    np.testing.assert_array_equal(y, gradients(published, params, x)[0])


def test_the_mean_of_the_kernels_is_not_computed_without_gradients():
    layer, params, x = random_layer('advantage')
    published, *_ = random_layer('output')

    def convolutions(layer, function):
        compiled = jax.jit(functools.partial(function, layer)).lower(params, x).compile()
        return compiled.as_text().count('convolution(')

    def output(layer, params, x):
        return layer.apply({'params': params}, x)

    assert convolutions(layer, output) == convolutions(published, output)
    assert convolutions(layer, gradients) == convolutions(published, gradients) + 1


def test_kernels_deviate_from_a_shared_one():
    layer, params, x = random_layer('advantage', deviation=0.5)
    assert params['shared'].shape == (3, 3, 8, 9)
    assert not params['kernel'].any()
    noise = np.random.default_rng(0).normal(size=params['kernel'].shape)
    params = {**params, 'kernel': jnp.asarray(noise, 'float32')}
    plain = {key: value for key, value in params.items() if key != 'shared'}
    plain['kernel'] = params['shared'][None] + 0.5 * params['kernel']
    y, of_params, of_x = gradients(layer, params, x)
    expected, of_plain, of_plain_x = gradients(random_layer('advantage')[0], plain, x)
    assert_close(y, expected, 1e-5)
    assert_close(of_x, of_plain_x, 1e-5)
    assert_close(of_params['kernel'], 0.5 * of_plain['kernel'], 1e-5)
    assert_close(of_params['shared'], of_plain['kernel'].sum(axis=0), 1e-5)
