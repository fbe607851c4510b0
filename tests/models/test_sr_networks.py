"""What holds of every network for super-resolution."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sr_jax import models
from sr_jax.errors import InputError
from sr_jax.layers.random_draws import draw_in_loops

DENSE = dict(layers=())
SIZES = {
    'srresnet': dict(features=8, num_blocks=2),
    'rrdb': dict(features=8, num_blocks=1, growth=5),
    'srvgg': dict(features=8, num_convs=2),
    'switched_sr': dict(features=6, num_layers=2, switching=DENSE),
}
SCALES = {'srresnet': (2, 3, 4), 'rrdb': (1, 2, 4), 'srvgg': (1, 2, 4), 'switched_sr': (1, 2, 4, 8)}
MULTIPLES = {('rrdb', 1): 4, ('rrdb', 2): 2}
BLOCKS = {'srvgg': 3, 'rrdb': 1}
X = jnp.asarray(np.random.default_rng(1).random((1, 8, 12, 3), np.float32))


def make(name, **fields):
    return models.make({'name': name, **SIZES[name], **fields})


@pytest.mark.parametrize('size', [(1, 1), (7, 5), (6, 9)])
@pytest.mark.parametrize(('name', 'scale'), [(name, s) for name in SCALES for s in SCALES[name]])
def test_the_output_is_exactly_scale_times_the_input(name, scale, size):
    model, multiple = make(name, scale=scale), MULTIPLES.get((name, scale), 1)
    height, width = (multiple * side for side in size)
    x = jnp.zeros((2, height, width, 3))
    y, _ = jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), x))
    assert y.shape == (2, model.scale * height, model.scale * width, 3)
    assert y.dtype == jnp.float32


@pytest.mark.parametrize(('name', 'scale'), [(name, s) for name in SCALES for s in SCALES[name]])
def test_the_halo_is_as_far_as_the_network_looks_and_no_farther(name, scale):
    model = make(name, scale=scale)
    multiple = getattr(model, 'multiple', 1)
    assert multiple == MULTIPLES.get((name, scale), 1)
    center = 2 * model.halo
    x = jnp.zeros((1, 4 * model.halo, multiple, 3))
    shapes = jax.eval_shape(model.init, jax.random.key(0), x)
    # Only kernels, all positive: a pixel shows wherever it can, however little.
    params = jax.tree.map(lambda s: jnp.full(s.shape, float(len(s.shape) == 4)), shapes['params'])
    apply = jax.jit(lambda x: model.apply({'params': params}, x))
    reach = 0
    for offset in range(4):
        shown = np.asarray(apply(x.at[0, center + offset].set(1e-20)))[0].any(axis=(1, 2))
        rows = np.flatnonzero(shown) // scale
        reach = max(reach, center + offset - rows.min(), rows.max() - center - offset)
    assert reach == model.halo


def test_switched_networks_look_at_everything():
    switching = dict(layers=('layer_0/conv',))
    assert make('switched_sr', switching=switching).halo is None
    assert make('rrdb', switching=dict(layers=('conv_body',))).halo is None


@pytest.mark.parametrize('name', SIZES)
def test_a_scale_that_does_not_exist_is_refused(name):
    with pytest.raises(InputError, match='not by 0'):
        make(name, scale=2).clone(scale=0).init(jax.random.key(0), X)


@pytest.mark.parametrize('name', SIZES)
def test_rematerialisation_and_half_precision(name):
    model = make(name, scale=2)
    variables = jax.jit(draw_in_loops(model.init))(jax.random.key(0), X)

    def loss(params, **fields):
        image = make(name, scale=2, **fields).apply({'params': params}, X, train=True)
        return jnp.sum(jnp.sin(image)), image

    def gradients(params, **fields):
        return jax.grad(loss, has_aux=True)(params, **fields)

    expected, image = jax.jit(gradients)(variables['params'])
    recomputed, _ = jax.jit(lambda params: gradients(params, remat=True))(variables['params'])
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4), recomputed, expected
    )
    jaxpr = str(jax.make_jaxpr(lambda p: loss(p, remat=True)[0])(variables['params']))
    assert jaxpr.count('prevent_cse=') == BLOCKS.get(name, 2)
    half, low = jax.jit(lambda params: gradients(params, dtype='bfloat16'))(variables['params'])
    assert {leaf.dtype for leaf in jax.tree.leaves(half)} == {jnp.dtype('float32')}
    assert low.dtype == jnp.float32
    assert 0 < jnp.abs(low - image).max() < 0.02 * jnp.abs(image).max()
