"""The switched convolution as a layer: against the original, a dense one, and in parts."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import traverse_util
from parity import assert_close, nhwc
from sr_jax.kernels.switched_conv import api, route
from switched import batch_stats, hyperparameters, kernels, selector_params, switch_norm

from sr_jax.errors import InputError
from sr_jax.layers import switched_conv as switched_conv_layer
from sr_jax.layers.convolution import convolve
from sr_jax.layers.random_draws import draw_in_loops
from sr_jax.layers.switch_norm import update_switch_norms
from sr_jax.layers.switched_conv import SharedSelector, SwitchedConv

# The lambda selectors of the original are in test_selector, with all kernels everywhere.
CASES = {
    'std_s1_k3_unfilled': 'standard',
    'std_s2_k3_filled': 'standard',
    'std_s1_k5_filled': 'standard',
    'std_s2_k5_unfilled': 'standard',
    'std_s1_k3_filled_eval': 'standard',
    'std_s1_k3_filled_soft': 'standard',
    'std_s1_k3_nobias_sepselector': 'standard',
    'extsel_s2_k3_filled': 'logits',
    'lambda_s2_k5_filled': 'lambda',
}


def parameters(arrays, network, prefix='param/'):
    kernel, bias = kernels(arrays, prefix)
    params = {'kernel': kernel} if bias is None else {'kernel': kernel, 'bias': bias}
    if network == 'logits':
        return params
    return {**params, 'selector': selector_params(arrays, network, prefix)}


def layer_of(settings, network, **changes):
    return SwitchedConv(
        settings['out_c'],
        settings['kernel'],
        settings['breadth'],
        settings['stride'],
        network,
        routing='hard' if settings['gate_hard_en'] else 'soft',
        use_bias=settings['bias'],
        **changes,
    )


@functools.partial(jax.jit, static_argnums=(0, 1))
def differentiate(layer, train, variables, x, features, cotangent):
    def output(params, x, features):
        return layer.apply(
            {**variables, 'params': params},
            x,
            train,
            features,
            mutable=['switch_norm', 'batch_stats', 'intermediates'],
        )

    y, pull_back, changed = jax.vjp(output, variables['params'], x, features, has_aux=True)
    return y, changed, pull_back(cotangent)


@pytest.mark.parametrize('case', CASES)
def test_the_layer_is_the_originals(golden, case):
    arrays = golden(f'switch_layer_{case}')
    network, settings = CASES[case], hyperparameters(arrays)
    variables = {
        'params': parameters(arrays, network),
        'switch_norm': {'norm': switch_norm(arrays, 'buffer/gate.norm.')},
    }
    if network == 'lambda':
        variables['batch_stats'] = {'selector': batch_stats(arrays, network)}
    features = nhwc(arrays['in/selector']) if 'in/selector' in arrays else None
    y, changed, (gradients, x_gradient, features_gradient) = differentiate(
        layer_of(settings, network),
        settings['training'],
        variables,
        nhwc(arrays['in/x']),
        features,
        nhwc(arrays['cotangent']),
    )
    np.testing.assert_array_equal(changed['intermediates']['choice'][0], arrays['out/mask'])
    assert_close(changed['intermediates']['probabilities'][0], nhwc(arrays['out/soft']))
    assert_close(y, nhwc(arrays['out/y']))
    buffer = switch_norm(arrays, 'buffer_after/gate.norm.')['buffer']
    assert_close(changed['switch_norm']['norm']['buffer'], buffer)
    assert_close(x_gradient, nhwc(arrays['grad/in/x']), rtol=1e-3)
    if features is not None:
        assert_close(features_gradient, nhwc(arrays['grad/in/selector']), rtol=1e-3)
    found = traverse_util.flatten_dict(gradients)
    expected = traverse_util.flatten_dict(parameters(arrays, network, 'grad/param/'))
    assert set(found) == set(expected)
    for path, value in expected.items():
        # a bias before a norm has no gradient but rounding errors
        scale = 1.0 if path == ('selector', 'norm', 'bias') else None
        assert_close(found[path], value, rtol=1e-3, name='/'.join(path), scale=scale)


def test_equal_kernels_give_the_dense_convolution():
    """Whatever a fresh selector chooses: so a converted network begins as it was."""
    x = jax.random.normal(jax.random.key(0), (2 * 7 * 6 * 5,)).reshape(2, 7, 6, 5)
    layer = SwitchedConv(8, 3, breadth=4, stride=2, network='standard')
    variables = jax.jit(draw_in_loops(layer.init))(jax.random.key(1), x)
    kernel = variables['params']['kernel'][:1]
    params = {**variables['params'], 'kernel': jnp.repeat(kernel, 4, axis=0)}
    apply = jax.jit(functools.partial(layer.apply, mutable=['intermediates']))
    y, sown = apply({**variables, 'params': params}, x)
    assert len(np.unique(sown['intermediates']['choice'][0])) > 1
    expected = convolve(x, kernel[0], 2) + params['bias'][None, None, None]
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(('start', 'fan_in'), [('published', 5 * 9 * 8), ('convolution', 5 * 9)])
def test_start_values(start, fan_in):
    layer = SwitchedConv(16, 3, network='standard', start=start)
    variables = jax.jit(draw_in_loops(layer.init))(jax.random.key(0), jnp.ones((1, 4, 4, 5)))
    largest = jnp.abs(variables['params']['kernel']).max()
    assert 0.99 / np.sqrt(fan_in) < largest <= 1 / np.sqrt(fan_in)
    assert jnp.abs(variables['params']['bias']).max() <= 1 / np.sqrt(5 * 9)
    assert set(variables) == {'params', 'switch_norm'}


def test_bfloat16_inside_leaves_the_selector_and_parameters_in_float32():
    x = jax.random.normal(jax.random.key(0), (4 * 6 * 5,)).reshape(1, 4, 6, 5)
    layer = SwitchedConv(7, 3, breadth=2, network='standard', dtype='bfloat16')
    variables = jax.jit(draw_in_loops(layer.init))(jax.random.key(1), x)
    full = jax.jit(SwitchedConv(7, 3, breadth=2, network='standard').apply)(variables, x)
    y, sown = jax.jit(functools.partial(layer.apply, mutable=['intermediates']))(variables, x)
    assert y.dtype == jnp.bfloat16 and variables['params']['kernel'].dtype == jnp.float32
    assert sown['intermediates']['probabilities'][0].dtype == jnp.float32
    np.testing.assert_allclose(y.astype(jnp.float32), full, atol=0.02)


def test_gathered_statistics_update_the_layer():
    x = jax.random.normal(jax.random.key(0), (4 * 6 * 5,)).reshape(1, 4, 6, 5)
    layer = SwitchedConv(7, 3, breadth=2, network='standard')
    variables = jax.jit(draw_in_loops(layer.init))(jax.random.key(1), x)
    collections = ['switch_norm', 'switch_norm_statistics']
    apply = functools.partial(layer.apply, train=True, mutable=collections)
    _, changed = jax.jit(apply)(variables, x)
    updated = update_switch_norms(variables['switch_norm'], changed['switch_norm_statistics'])
    assert updated['norm']['index'] == 1
    for name, value in changed['switch_norm']['norm'].items():
        np.testing.assert_allclose(updated['norm'][name], value, rtol=1e-6)


class Two(nn.Module):
    """Two switched convolutions of the same features, with one selector or with a selector each."""

    shared: bool

    @nn.compact
    def __call__(self, x):
        selection = None
        if self.shared:
            selection = SharedSelector(4, network='standard', norm_size=0, name='chooser')(x)
        layer = functools.partial(SwitchedConv, 7, 3, breadth=4, network='standard', norm_size=0)
        first = layer(name='first')(x, selection=selection)
        return first + layer(name='second')(x, selection=selection)


def test_a_shared_selector_sorts_once_and_learns_from_all(monkeypatch):
    calls = []
    count = lambda *args, **settings: calls.append(1) or route(*args, **settings)  # noqa: E731
    monkeypatch.setattr(switched_conv_layer, 'route', count)
    monkeypatch.setattr(api, 'route', count)
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 5, 6, 8)), jnp.float32)
    params = jax.jit(draw_in_loops(Two(True).init))(jax.random.key(0), x)['params']
    assert set(params['first']) == {'kernel', 'bias'}

    def loss(params, shared):
        y, sown = Two(shared).apply({'params': params}, x, mutable=['intermediates'])
        return jnp.sum(jnp.sin(y)), sown['intermediates']

    calls.clear()
    differentiate = jax.jit(jax.value_and_grad(loss, has_aux=True), static_argnums=1)
    (value, sown), gradient = differentiate(params, True)
    assert len(calls) == 1 and set(sown) == {'chooser'}
    selector = params['chooser']['selector']
    each = {name: params[name] | {'selector': selector} for name in ('first', 'second')}
    (apart, sown), expected = differentiate(each, False)
    assert len(calls) == 3 and set(sown) == {'first', 'second'}
    np.testing.assert_allclose(value, apart, rtol=1e-6)
    both = jax.tree.map(jnp.add, *(expected[name].pop('selector') for name in each))
    found = gradient.pop('chooser')['selector']
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(both), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    for one, other in zip(jax.tree.leaves(gradient), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_without_a_norm_there_is_no_buffer_to_save():
    x = jnp.ones((1, 4, 6, 5))
    layer = SwitchedConv(7, 3, network='standard', norm_size=0)
    shapes = jax.eval_shape(layer.init, jax.random.key(0), x)
    assert set(shapes) == {'params'}
    assert jax.eval_shape(layer.apply, shapes, x).shape == (1, 4, 6, 7)


@pytest.mark.parametrize(
    ('field', 'value', 'message'),
    [
        ('features', 0, 'whole number, at least 1'),
        ('kernel_size', 0, 'whole number, at least 1'),
        ('kernel_size', 4, 'must be odd'),
        ('kernel_size', (3, 5), 'whole number, at least 1'),
        ('breadth', 0, 'at least 1 and at most 256'),
        ('breadth', 257, 'at least 1 and at most 256'),
        ('stride', 0, 'whole number, at least 1'),
        ('stride', 1.5, 'whole number, at least 1'),
        ('norm_size', -1, 'whole number, at least 0'),
        ('dropout_rate', 1.5, 'from 0 to 1'),
        ('dropout_rate', float('nan'), 'from 0 to 1'),
    ],
)
def test_a_field_out_of_range_is_named(field, value, message):
    x = jnp.ones((1, 4, 6, 5))
    fields = {'features': 7, 'kernel_size': 3, 'network': 'standard', field: value}
    with pytest.raises(InputError) as error:
        jax.eval_shape(SwitchedConv(**fields).init, jax.random.key(0), x)
    assert str(error.value).startswith(f'{field} is {value!r}: it must be')
    assert message in str(error.value)
    if field not in ('features', 'kernel_size'):
        with pytest.raises(InputError, match=f'^{field} is '):
            jax.eval_shape(SharedSelector(**{field: value}).init, jax.random.key(0), x)


def test_what_cannot_be_used_is_named():
    x = jnp.ones((1, 4, 6, 5))
    layer = SwitchedConv(7, 3, breadth=2, network='standard')
    params = jax.jit(draw_in_loops(layer.init))(jax.random.key(0), x)['params']
    with pytest.raises(InputError, match=r"norm needs.*'switch_norm'"):
        layer.apply({'params': params}, x)
    with pytest.raises(InputError, match=r'\(3, 6\) pixels.*\(4, 6\)'):
        layer.init(jax.random.key(0), x, selector_features=x[:, 1:])
    shared = SharedSelector(3, network='standard', norm_size=0)
    selection = shared.apply(shared.init(jax.random.key(0), x), x)
    with pytest.raises(InputError, match='among 3 kernels, but this layer has 2'):
        layer.init(jax.random.key(0), x, selection=selection)
    with pytest.raises(InputError, match='leave selector_features out'):
        layer.init(jax.random.key(0), x, selector_features=x, selection=selection)
    for wrong in ({'routing': 'none'}, {'start': 'none'}, {'credit': 'none'}):
        with pytest.raises(InputError, match="'none'"):
            SwitchedConv(4, 3, **wrong).init(jax.random.key(0), x)
    with pytest.raises(InputError, match='deviation is -1: it must be 0 or more'):
        SwitchedConv(4, 3, deviation=-1).init(jax.random.key(0), x)


def test_a_norm_that_begins_with_its_first_row_changes_the_first_batch():
    """Of a shared selector as of a layer's own."""
    x = jax.random.normal(jax.random.key(0), (1, 4, 6, 2))
    for module in (
        functools.partial(SwitchedConv, 7, 5, breadth=3, network='standard'),
        functools.partial(SharedSelector, 3, network='standard'),
    ):
        variables = jax.jit(draw_in_loops(module().init))(jax.random.key(1), x)

        def probabilities(start, module=module, variables=variables):
            layer = module(norm_start=start)
            mutable = ['switch_norm', 'intermediates']
            apply = functools.partial(layer.apply, train=True, mutable=mutable)
            _, mutated = jax.jit(apply)(variables, x)
            return mutated['intermediates']['probabilities'][0].mean(axis=(0, 1, 2))

        assert np.abs(probabilities('full') - 1 / 3).max() > 0.01
        assert np.abs(probabilities('first') - 1 / 3).max() < 0.01
