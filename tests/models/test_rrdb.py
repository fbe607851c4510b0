"""RRDBNet against BasicSR's, and with switched convolutions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util
from parity import assert_parity, error, errors, nhwc, part

from sr_jax.errors import InputError
from sr_jax.layers.random_draws import draw_in_loops
from sr_jax.layers.switching import Switching, check_layers, choices, convert_to_switched
from sr_jax.models.rrdb import ResidualDenseBlock, RRDBNet
from sr_jax.pretrained import rrdb as weights
from sr_jax.pretrained.layouts import layer_entries, read

SMALL = {'features': 8, 'num_blocks': 1, 'growth': 5}
LAYERS = ('block_0/rdb_1/conv_0', 'conv_body')
SWITCHING = Switching(LAYERS, breadth=4, network='standard')
X = jnp.asarray(np.random.default_rng(1).random((1, 6, 5, 3), np.float32))


@pytest.mark.parametrize('scale', [1, 2, 4])
def test_against_the_original(golden, scale):
    arrays = golden(f'rrdb_net_x{scale}')
    model = RRDBNet(**weights.fields(part(arrays, 'param/')))
    assert model.scale == scale
    assert_parity(errors(arrays, weights, model), rtol=1e-5, gradients_rtol=1e-5)


def test_esrgan_plus_against_the_original(golden):
    arrays = golden('rrdb_plus_x2')
    model = RRDBNet(**weights.fields(part(arrays, 'param/')))
    assert (model.scale, model.plus, model.unshuffle) == (2, True, False)
    assert_parity(errors(arrays, weights, model), rtol=1e-5, gradients_rtol=1e-5)


@pytest.mark.parametrize(('scale', 'channels'), [(1, 1), (16, 4)])
def test_other_doublings_and_channels_against_the_original(golden, scale, channels):
    arrays = golden(f'rrdb_2018_x{scale}')
    state = part(arrays, 'param/')
    model = RRDBNet(**weights.fields(state))
    assert (model.scale, model.in_channels, model.out_channels) == (scale, channels, channels)
    y = jax.jit(model.apply)(weights.from_torch(state), nhwc(arrays['in/x']))
    assert error(y, nhwc(arrays['out/y'])) < 1e-5


def test_a_dense_block_against_the_original(golden):
    arrays = golden('rrdb_rdb')
    entries = [
        entry for i in range(5) for entry in layer_entries(f'conv{i + 1}', (f'conv_{i}',), 'conv')
    ]
    params = read(part(arrays, 'param/'), entries, 'a dense block')['params']
    module = ResidualDenseBlock(growth=8)

    @jax.jit
    def run(params, x, cotangent):
        y, pull_back = jax.vjp(lambda p, x: module.apply({'params': p}, x), params, x)
        return y, *pull_back(cotangent)

    y, gradients, gradient_x = run(params, nhwc(arrays['in/x']), nhwc(arrays['cotangent']))
    assert error(y, nhwc(arrays['out/y'])) < 1e-5
    assert error(gradient_x, nhwc(arrays['grad/in/x'])) < 1e-5
    expected = read(part(arrays, 'grad/param/'), entries, 'a dense block')['params']
    found = jax.tree.map(error, gradients, expected)
    assert max(jax.tree.leaves(found)) < 1e-5, found


def test_start_values():
    model = RRDBNet(features=32, num_blocks=1)
    variables = jax.jit(draw_in_loops(model.init))(jax.random.key(0), jnp.zeros((1, 4, 6, 3)))
    inside = variables['params']['block_0']['rdb_1']['conv_2']
    fan_in = (32 + 2 * 32) * 9
    np.testing.assert_allclose(inside['kernel'].std(), 0.1 * (2 / fan_in) ** 0.5, rtol=0.03)
    assert not inside['bias'].any()
    outside = variables['params']['head']['conv_hr']
    np.testing.assert_allclose(outside['kernel'].std(), (3 * 32 * 9) ** -0.5, rtol=0.03)
    assert outside['bias'].any()


@pytest.mark.parametrize(('scale', 'size', 'multiple'), [(2, (4, 5), 2), (1, (6, 4), 4)])
def test_sizes_that_do_not_divide_are_refused(scale, size, multiple):
    message = f'multiples of {multiple}, not {size[0]} x {size[1]}'
    with pytest.raises(InputError, match=message):
        RRDBNet(scale, **SMALL).init(jax.random.key(0), jnp.zeros((1, *size, 3)))


# With switched convolutions ----------------------------------------------------------------------


@pytest.fixture(scope='module')
def converted():
    dense = RRDBNet(**SMALL)
    variables = jax.jit(draw_in_loops(dense.init))(jax.random.key(0), X)
    output = jax.jit(dense.apply)(variables, X)
    return convert_to_switched(variables, SWITCHING, jax.random.key(2)), output


def test_a_converted_network_gives_the_same_image(converted):
    variables, dense = converted
    model = RRDBNet(**SMALL, switching=SWITCHING)
    check_layers(variables['params'], SWITCHING)
    fresh = jax.eval_shape(lambda: model.init(jax.random.key(0), X))
    shapes = {k: jax.tree.map(np.shape, v) for k, v in fresh.items() if k != 'intermediates'}
    assert jax.tree.map(np.shape, variables) == shapes
    run = jax.jit(lambda v: model.apply(v, X, train=True, mutable=['switch_norm', 'intermediates']))
    image, mutated = run(variables)
    np.testing.assert_allclose(image, dense, rtol=1e-4, atol=1e-5)
    assert {choice.layer for choice in choices(mutated['intermediates'])} == set(LAYERS)


def test_selectors_learn_with_rematerialisation(converted):
    variables, rng = dict(converted[0]), np.random.default_rng(0)
    variables['params'] = jax.tree.map(
        lambda leaf: leaf + 0.05 * rng.standard_normal(leaf.shape, np.float32),
        variables['params'],
    )
    model = RRDBNet(**SMALL, switching=SWITCHING, remat=True)

    def loss(params):
        image, changed = model.apply(
            {**variables, 'params': params}, X, train=True, mutable=['switch_norm']
        )
        return jnp.sum(jnp.sin(image)), changed

    gradients, changed = jax.jit(jax.grad(loss, has_aux=True))(variables['params'])
    flat = traverse_util.flatten_dict(gradients, sep='/')
    buffers = traverse_util.flatten_dict(changed['switch_norm'], sep='/')
    for layer in LAYERS:
        assert jnp.abs(flat[f'{layer}/selector/conv/kernel']).max() > 0, layer
        assert buffers[f'{layer}/norm/buffer'].any(), layer


def test_switched_kernels_of_the_blocks_start_as_their_convolutions_do():
    switching = Switching(('block_0/rdb_0/conv_0',), breadth=4, network='standard')
    model = RRDBNet(features=32, num_blocks=1, switching=switching)
    variables = jax.jit(draw_in_loops(model.init))(jax.random.key(0), jnp.zeros((1, 4, 6, 3)))
    layer = variables['params']['block_0']['rdb_0']['conv_0']
    assert layer['kernel'].shape == (4, 3, 3, 32, 32)
    np.testing.assert_allclose(layer['kernel'].std(), 0.1 * (2 / (32 * 9)) ** 0.5, rtol=0.03)
    assert not layer['bias'].any()


def test_switched_convolutions_are_not_exported(converted):
    with pytest.raises(InputError, match='conv_body is a switched convolution'):
        weights.to_torch(converted[0])
