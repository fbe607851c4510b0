"""Modulated convolutions: against BasicSR's numbers, and the switched ones against a loop."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import one_program
import pytest
from parity import assert_close, nhwc

from sr_jax.errors import InputError
from sr_jax.layers.modulated_convolution import EPSILON, ModulatedConvolution
from sr_jax.layers.switching import MUTABLE, Switching, choices_by_layer
from sr_jax.layers.upfirdn import fir_kernel, upfirdn
from sr_jax.models.stylegan2 import StyledConvolution, ToRGB

MODES = {None: '', 'upsample': 'up', 'downsample': 'down'}
PLAIN = Switching(layers=('conv',), breadth=3, network='standard', norm_size=0)


def read(arrays, prefix='', turned=False):
    """The parameters of one of the original's layers."""
    kernel = arrays[f'param/{prefix}weight'][0].transpose(2, 3, 1, 0)
    modulation = f'param/{prefix}modulation'
    return {
        'conv': {'kernel': jnp.asarray(kernel[::-1, ::-1] if turned else kernel)},
        'modulation': {
            'kernel': jnp.asarray(arrays[f'{modulation}.weight'].T),
            'bias': jnp.asarray(arrays[f'{modulation}.bias']),
        },
    }


@pytest.mark.parametrize('name', ['plain', 'plain_nodemod', 'upsample', 'downsample'])
def test_the_original(golden, name):
    arrays = golden(f'extra_modconv_{name}')
    fields = json.loads(str(arrays['meta/json']))['hp']
    mode = MODES[fields['sample_mode']]
    layer = ModulatedConvolution(4, fields['kernel_size'], mode, fields['demodulate'])

    @jax.jit
    def run(params, x, style, cotangent):
        def apply(params, x, style):
            return layer.apply({'params': params}, x, style)

        y, pull_back = jax.vjp(apply, params, x, style)
        return y, pull_back(cotangent)

    params = read(arrays, turned=mode == 'up')
    y, (found, x, style) = run(
        params, nhwc(arrays['in/x']), arrays['in/style'], nhwc(arrays['cotangent'])
    )
    assert_close(y, nhwc(arrays['out/y']), 1e-5)
    assert_close(x, nhwc(arrays['grad/in/x']), 1e-5)
    assert_close(style, arrays['grad/in/style'], 1e-5)
    wanted = {key.replace('grad/', ''): value for key, value in arrays.items() if 'grad/' in key}
    jax.tree.map(lambda a, b: assert_close(a, b, 1e-5), found, read(wanted, turned=mode == 'up'))


def test_a_styled_convolution_of_the_original(golden):
    arrays = golden('extra_styleconv_up')
    params = {
        'modulated': read(arrays, 'modulated_conv.', turned=True),
        'noise_strength': arrays['param/weight'],
        'bias': arrays['param/activate.bias'],
    }
    layer = StyledConvolution(4, True, Switching(), 'float32')
    given = (nhwc(arrays['in/x']), arrays['in/style'], nhwc(arrays['in/noise']))
    assert_close(one_program.apply(layer, {'params': params}, *given), nhwc(arrays['out/y']), 1e-5)


def test_an_image_of_the_original(golden):
    arrays = golden('extra_torgb')
    params = {
        'modulated': read(arrays, 'modulated_conv.'),
        'bias': arrays['param/bias'].reshape(-1),
    }
    layer = ToRGB(3, Switching(), 'float32')
    given = (nhwc(arrays['in/x']), arrays['in/style'], nhwc(arrays['in/skip']))
    assert_close(one_program.apply(layer, {'params': params}, *given), nhwc(arrays['out/y']), 1e-5)


def given_to(layer, seed=0):
    rng = np.random.default_rng(seed)
    x = 9 * rng.normal(size=(2, 5, 7, 4)).astype(np.float32)
    style = rng.normal(size=(2, 6)).astype(np.float32)
    variables = one_program.init(layer, jax.random.key(seed), x, style)
    return variables, x, style


@pytest.mark.parametrize(('mode', 'demodulated'), [('', True), ('', False), ('up', True)])
def test_switched_is_a_loop_over_pixels_of_the_chosen_and_modulated_kernels(mode, demodulated):
    layer = ModulatedConvolution(3, 3, mode, demodulated, PLAIN)
    variables, x, style = given_to(layer)
    y, left = one_program.apply(layer, variables, x, style, mutable=list(MUTABLE))
    (choice,) = choices_by_layer(left['intermediates']).values()
    params = jax.tree.map(lambda a: np.asarray(a, np.float64), variables['params'])
    modulation, kernels = params['modulation'], params['conv']['kernel']
    assert len(np.unique(choice)) > 1
    seen = np.pad(np.asarray(x, np.float64), ((0, 0), (1, 1), (1, 1), (0, 0)))
    if mode == 'up':
        seen = np.asarray(upfirdn(x, fir_kernel(gain=4), 2, 1, (3, 2)), np.float64)
        choice = choice[:, 1:-1, 1:-1]
    expected = np.zeros(y.shape)
    for n, i, j in np.ndindex(choice.shape):
        scales = style[n] @ modulation['kernel'] / np.sqrt(6) + modulation['bias']
        weights = kernels[choice[n, i, j]] * scales[:, None] / np.sqrt(9 * 4)
        if demodulated:
            weights /= np.sqrt((weights**2).sum(axis=(0, 1, 2)) + EPSILON)
        window = seen[n, i : i + 3, j : j + 3]
        expected[n, i, j] = np.einsum('klc,klco->o', window, weights)
    np.testing.assert_allclose(y, expected, atol=1e-4)


def test_equal_kernels_are_the_dense_layer_whatever_is_chosen():
    dense = ModulatedConvolution(3, 3, 'up')
    variables, x, style = given_to(dense)
    kernel = variables['params']['conv']['kernel']
    switched = ModulatedConvolution(3, 3, 'up', switching=PLAIN)
    params = dict(one_program.init(switched, jax.random.key(1), x, style)['params'])
    params['modulation'] = variables['params']['modulation']
    params['conv'] = {**params['conv'], 'kernel': jnp.broadcast_to(kernel, (3, *kernel.shape))}
    y = one_program.apply(switched, {'params': params}, x, style)
    np.testing.assert_allclose(y, one_program.apply(dense, variables, x, style), atol=2e-5)


def test_kernels_that_are_blended_are_refused():
    layer = ModulatedConvolution(3, switching=Switching(layers=('conv',), routing='soft'))
    with pytest.raises(InputError, match='a modulated convolution is switched by a choice: take'):
        jax.eval_shape(layer.init, jax.random.key(0), jnp.zeros((1, 4, 6, 2)), jnp.zeros((1, 5)))
