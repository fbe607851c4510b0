"""Layers that `nn.scan` stacks follow their batches as they do one by one."""

import functools

import jax
import numpy as np
from flax import linen as nn

from sr_jax.layers import switching
from sr_jax.layers.batch_norm import BatchNorm
from sr_jax.layers.switched_conv import SwitchedConv


class Block(nn.Module):
    """A switched convolution and a batch norm."""

    @nn.compact
    def __call__(self, x, train):
        x = x + SwitchedConv(6, 3, 5, network='standard', norm_size=8)(x, train)
        return BatchNorm()(x, train), None


class Stack(nn.Module):
    """Four blocks, one after the other, whose variables `nn.scan` stacks."""

    @nn.compact
    def __call__(self, x, train=False):
        collections = ('params', 'switch_norm', 'batch_stats', *switching.MUTABLE)
        scanned = nn.scan(
            Block,
            variable_axes=dict.fromkeys(collections, 0),
            split_rngs={'params': True},
            length=4,
            in_axes=nn.broadcast,
        )
        return scanned(name='blocks')(x, train)[0]


def test_layers_that_are_stacked_are_updated_each():
    x = jax.random.normal(jax.random.key(0), (2, 9, 7, 6))
    variables = jax.jit(Stack().init)(jax.random.key(1), x)
    gather = functools.partial(Stack().apply, train=True, mutable=list(switching.MUTABLE))
    mutated = jax.jit(gather)(variables, x)[1]
    changed = switching.update(variables, switching.collect_statistics(mutated))
    alone = jax.jit(
        lambda variables, x: Block().apply(variables, x, True, mutable=list(switching.MUTABLE))
    )
    names = ('switch_norm', 'batch_stats')
    for i in range(4):  # each block by itself
        own = jax.tree.map(lambda leaf, i=i: leaf[i], variables)['params']['blocks']
        rest = {
            name: jax.tree.map(lambda leaf, i=i: leaf[i], variables[name])['blocks']
            for name in names
        }
        (x, _), found = alone({'params': own, **rest}, x)
        expected = switching.update(rest, switching.collect_statistics(found))
        for name, tree in expected.items():
            jax.tree.map(
                lambda a, b, i=i: np.testing.assert_allclose(a[i], b, 1e-4, 1e-6),
                dict(changed[name]['blocks']),
                tree,
            )
    (shares,) = switching.shares(changed['switch_norm']).values()
    assert shares.shape == (4, 5)
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-5)
