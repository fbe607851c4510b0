"""Networks for super-resolution small enough for tests, with weights at random."""

import jax
import numpy as np

from sr_jax import models
from sr_jax.inference import networks

# No two numbers of a network are alike: equal ones hide that one is taken for the other.
SMALL = {
    'rrdb': dict(name='rrdb', scale=4, features=5, num_blocks=1, growth=2),
    'rrdb_x2': dict(name='rrdb', scale=2, features=5, num_blocks=1, growth=3),
    'srresnet': dict(name='srresnet', scale=3, features=4, num_blocks=2),
    'srvgg': dict(name='srvgg', scale=2, features=7, num_convs=1),
    'swinir': dict(
        name='swinir',
        scale=2,
        features=6,
        num_groups=1,
        num_blocks=2,
        heads=3,
        window=4,
        hidden=9,
        head='direct',
    ),
    'switched_sr': dict(
        name='switched_sr',
        scale=2,
        features=6,
        num_layers=1,
        switching=dict(layers=('layer_0/conv',), breadth=4),
    ),
    'srflow': dict(
        name='srflow',
        scale=4,
        features=6,
        num_blocks=3,
        growth=5,
        stacked=2,
        steps=1,
        hidden=7,
        transitions=8,
    ),
    'vqvae': dict(
        name='vqvae',
        channels=8,
        num_res_blocks=1,
        res_channels=5,
        codebook_size=9,
        bottom_codebook_size=10,
        codebook_dim=6,
    ),
}


def network(key):
    """One of SMALL, its output well spread over [0, 1]."""
    return drawn(SMALL[key], key)


def drawn(model, source='x', seed=0):
    """A network of those fields, its output well spread over [0, 1]."""
    module = models.make(model)
    shapes = jax.eval_shape(module.init, jax.random.key(0), module.example(1))
    rng = np.random.default_rng(seed)

    def draw(path, leaf):
        values, name = rng.standard_normal(leaf.shape), path[-1].key
        if name == 'weight':  # a flow divides by these matrices: their inverses must stay small
            return np.linalg.qr(values)[0].astype(leaf.dtype)
        wide = leaf.ndim > 1 and name not in ('bias', 'log_scale')
        scale = 0.9 / np.sqrt(np.prod(leaf.shape[:-1])) if wide else 0.1
        return (scale * values).astype(leaf.dtype)

    shapes = {name: tree for name, tree in shapes.items() if name != 'intermediates'}
    return networks.LoadedNetwork(model, jax.tree.map_with_path(draw, shapes), source)


def whole(network, pixels):
    """What the network makes of a whole image, in [0, 1]."""
    made = np.asarray(jax.jit(network.module().apply)(network.variables, pixels[None])[0])
    assert np.isfinite(made).all()  # of two that are not, every comparison would say yes
    return np.clip(made, 0, 1)


def repeating():
    """A network of scale 2 whose result is the image by repetition, exactly."""
    net = network('srvgg')
    params = dict(net.variables['params'])
    params['conv_last'] = jax.tree.map(np.zeros_like, params['conv_last'])
    return net._replace(variables={'params': params}, source='repeating')


def overflowing():
    """An SRVGG of finite weights that makes more than float16 can hold of what is not black."""
    net = network('srvgg')
    params = jax.tree.map(np.copy, net.variables['params'])
    kernel = params['block_0']['conv']['kernel']
    params['block_0']['conv']['kernel'] = 6e4 * np.abs(kernel)  # itself within float16's range
    params['block_1']['conv']['kernel'] /= 6e4
    return net._replace(variables={'params': params})
