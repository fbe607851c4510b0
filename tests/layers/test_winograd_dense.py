import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from sr_jax.devices.sharding import make_mesh
from sr_jax.layers import winograd_dense
from sr_jax.layers.convolution import convolve
from sr_jax.layers.winograd import fewer_products

WIDTHS = (33, 34, 36, 41)
SLOPE = 0.2


@pytest.fixture(scope='module')
def block():
    keys = iter(jax.random.split(jax.random.key(2), 9))
    x = jax.random.normal(next(keys), (2, 17, 22, 39))
    kernels, biases = [], []
    for i, width in enumerate(WIDTHS):
        channels = 39 + sum(WIDTHS[:i])
        kernels.append(jax.random.normal(next(keys), (3, 3, channels, width)) / 30)
        biases.append(jax.random.normal(next(keys), (width,)))
    return x, tuple(kernels), tuple(biases)


def one_by_one(x, kernels, biases, inside=None):
    maps = [x if inside is None else jnp.where(inside, x, 0)]
    for kernel, bias in zip(kernels, biases, strict=True):
        made = convolve(jnp.concatenate(maps, axis=-1), kernel) + bias[None, None, None]
        y = nn.leaky_relu(made, SLOPE)
        maps.append(y if inside is None else jnp.where(inside, y, 0))
    return made


def test_it_makes_what_the_convolutions_make(block):
    expected = one_by_one(*block)
    made = winograd_dense.convolve_densely(*block, SLOPE)
    np.testing.assert_allclose(made, expected, rtol=0, atol=2e-6 * np.abs(expected).max())


def test_what_is_outside_of_images_is_zero_to_it(block):
    rows, columns = jnp.arange(17)[None, :, None, None], jnp.arange(22)[None, None, :, None]
    inside = (rows < jnp.array([13, 17])[:, None, None, None]) & (columns < 19)
    expected = one_by_one(*block, inside)
    made = winograd_dense.convolve_densely(*block, SLOPE, inside)
    np.testing.assert_allclose(made, expected, rtol=0, atol=2e-6 * np.abs(expected).max())


def test_its_gradients_are_theirs(block):
    def differentiate(make):
        loss = lambda *weights: jnp.sin(make(*weights) / 9).sum()  # noqa: E731
        return jax.jit(jax.grad(loss, argnums=(0, 1, 2)))(*block)

    found = differentiate(functools.partial(winograd_dense.convolve_densely, slope=SLOPE))
    expected = differentiate(one_by_one)
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=5e-6 * np.abs(other).max())


@pytest.mark.parametrize(
    ('dtype', 'channels', 'widths', 'least', 'expected'),
    [
        ('float32', 32, (33, 34), 0, True),
        ('float32', 31, (33, 34), 0, False),
        ('float32', 32, (33, 31), 0, False),
        ('bfloat16', 64, (65, 66), 0, False),
        ('float32', 32, (33, 34), 600 * (32 * 33 + 65 * 34), True),
        ('float32', 32, (33, 34), 600 * (32 * 33 + 65 * 34) + 1, False),
    ],
)
def test_where_it_is_quicker(dtype, channels, widths, least, expected):
    x = jax.ShapeDtypeStruct((1, 24, 25, channels), dtype)
    assert not winograd_dense.is_quicker(x, widths)
    with fewer_products(1, least):
        assert winograd_dense.is_quicker(x, widths) == expected


def test_gradients_inside_of_a_shard_map_and_explicit_axes(block):
    devices = jax.devices()[:2]

    def loss(x, kernels, biases):
        return (winograd_dense.convolve_densely(x, kernels, biases, SLOPE) ** 2).sum()

    def summed(x, kernels, biases):
        value, gradients = jax.value_and_grad(loss, argnums=(0, 1, 2))(x, kernels, biases)
        return jax.lax.psum(value, 'data'), gradients

    specs = (P('data'), P(), P())
    parts = jax.shard_map(summed, mesh=make_mesh(devices), in_specs=specs, out_specs=(P(), specs))
    found = jax.jit(parts)(*block)
    expected = jax.jit(jax.value_and_grad(loss, argnums=(0, 1, 2)))(*block)
    for one, other in zip(*map(jax.tree.leaves, (found, expected)), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-5 * np.abs(other).max())
    explicit = jax.make_mesh((2,), ('data',), devices=devices)
    split = jax.device_put(block[0], NamedSharding(explicit, P('data')))
    with fewer_products(1):
        assert winograd_dense.is_quicker(block[0], WIDTHS)
        assert not winograd_dense.is_quicker(split, WIDTHS)
