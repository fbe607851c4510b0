"""Convolutions and their gradients where devices share a batch otherwise than in the trainer."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from sr_jax.layers.convolution import Convolution, TransposedConvolution
from sr_jax.layers.switched_conv import SwitchedConv

X = np.random.default_rng(0).random((4, 7, 9, 5), np.float32)
LAYERS = {
    'dense': Convolution(6, 3),
    'one tap': Convolution(6, 1),
    'transposed': TransposedConvolution(6),
    'switched': SwitchedConv(6, 3, 2, network='standard'),
}


def gradients(layer):
    def apply(variables, x):
        def loss(params):
            return (layer.apply({**variables, 'params': params}, x) ** 2).sum()

        return jax.grad(loss)(variables['params'])

    return apply


def by_shard_map(layer, variables, mesh, compile_=jax.jit):
    split, whole = PartitionSpec('batch'), PartitionSpec()
    shared = jax.shard_map(
        gradients(layer), mesh=mesh, in_specs=(whole, split), out_specs=whole
    )
    return compile_(shared)(variables, X)


def by_shard_map_as_it_is(layer, variables, mesh):
    return by_shard_map(layer, variables, mesh, lambda function: function)


def by_explicit_axes(layer, variables, mesh):
    placed = (
        jax.device_put(variables, NamedSharding(mesh, PartitionSpec())),
        jax.device_put(X, NamedSharding(mesh, PartitionSpec('batch'))),
    )
    return jax.jit(gradients(layer))(*placed)


@pytest.mark.parametrize('name', LAYERS)
@pytest.mark.parametrize(
    ('way', 'kind'),
    [
        (by_shard_map, AxisType.Auto),
        (by_shard_map_as_it_is, AxisType.Auto),
        (by_explicit_axes, AxisType.Explicit),
    ],
)
def test_gradients_are_those_of_one_device(name, way, kind):
    layer = LAYERS[name]
    variables = layer.init(jax.random.key(0), jnp.asarray(X))
    mesh = jax.make_mesh((2,), ('batch',), axis_types=(kind,), devices=jax.devices()[:2])
    expected = jax.jit(gradients(layer))(variables, X)
    found = way(layer, variables, mesh)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, 1e-4, 1e-4), found, expected)
