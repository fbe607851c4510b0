"""A layer in patches is the layer on the whole, also where an image ends within the array."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from hypothesis import given, settings
from hypothesis import strategies as st

from sr_jax.devices import memory
from sr_jax.errors import InputError
from sr_jax.layers.borders import Images, _find_along, apply_within
from sr_jax.layers.convolution import Convolution, upsample_nearest
from sr_jax.layers.in_patches import in_patches
from sr_jax.layers.random_draws import draw_in_loops
from sr_jax.layers.switching import Switching
from sr_jax.models.rrdb import RRDBNet

HALO = 2
SMALL = {'features': 4, 'growth': 2}


class Looking(nn.Module):
    """Two convolutions, the second one at `scale` times the size."""

    scale: int = 1

    @nn.compact
    def __call__(self, x):
        x = nn.leaky_relu(Convolution(5, 3, name='a')(x))
        return Convolution(4, 3, name='b')(upsample_nearest(x, self.scale))


class Network(nn.Module):
    scale: int
    side: int

    @nn.compact
    def __call__(self, x):
        n, h, w, _ = x.shape
        made = jax.ShapeDtypeStruct((n, h * self.scale, w * self.scale, 4), jnp.float32)
        return in_patches(Looking(self.scale), x, made, self.side, HALO)


def make(scale, side, x):
    module = Network(scale, side)
    return module, jax.jit(draw_in_loops(module.init))(jax.random.key(0), x)


def draw(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


@settings(max_examples=8)
@given(st.integers(1, 19), st.integers(1, 19), st.integers(1, 7), st.sampled_from([1, 2]))
def test_patches_are_the_whole(height, width, side, scale):
    x = draw(2, height, width, 4)
    module, variables = make(scale, side, x)
    whole = jax.jit(Network(scale, 0).apply)(variables, x)
    found = jax.jit(module.apply)(variables, x)
    np.testing.assert_allclose(found, whole, atol=2e-6)


@pytest.mark.parametrize('scale', [1, 2])
def test_within_images_that_end_before_the_array(scale):
    x = draw(2, 23, 17, 4)
    sizes = np.array([[11, 17], [20, 5]], np.int32)
    module, variables = make(scale, 4, x)
    found = jax.jit(functools.partial(apply_within, module))(variables, x, sizes)
    for i, (height, width) in enumerate(sizes):
        alone = jax.jit(Network(scale, 0).apply)(variables, x[i : i + 1, :height, :width])[0]
        part = found[i, : height * scale, : width * scale]
        np.testing.assert_allclose(part, alone, atol=2e-6)


def test_too_small_a_halo_shows():
    """So that the tests above could fail."""
    x = draw(1, 20, 20, 4)
    module, variables = make(1, 4, x)

    def narrow(layer, x):
        return in_patches(layer, x, jax.ShapeDtypeStruct(x.shape, x.dtype), 4, HALO - 1)

    inner = {'params': variables['params']['Looking_0']}
    found = nn.apply(narrow, Looking())(inner, x)
    assert np.abs(found - module.apply(variables, x)).max() > 1e-2


def test_long_sides_do_not_overflow():
    inside = _find_along(0, 120_000, Images((30_000, 1), jnp.array([[29_999, 1]])))
    assert int(inside.sum()) == 4 * 29_999


@pytest.mark.parametrize('scale', [2, 4])
def test_rrdb_net(scale):
    x = draw(1, 2 * 26 // scale * 2, 46, 3)
    whole = RRDBNet(scale, num_blocks=1, **SMALL)
    variables = jax.jit(draw_in_loops(whole.init))(jax.random.key(0), x)
    found = jax.jit(whole.clone(patch=10).apply)(variables, x)
    np.testing.assert_allclose(found, jax.jit(whole.apply)(variables, x), atol=2e-6)


def test_memory_does_not_grow_with_the_blocks():
    def find_needed(blocks, patch):
        module = RRDBNet(num_blocks=blocks, patch=patch, **SMALL)
        x = jax.ShapeDtypeStruct((1, 128, 128, 3), jnp.float32)
        variables = jax.eval_shape(module.init, jax.random.key(0), x)
        return memory.compiled_bytes(jax.jit(module.apply).lower(variables, x).compile())

    one = find_needed(1, 16)
    assert find_needed(3, 16) < 1.1 * one
    assert one < 0.6 * find_needed(1, 0)


def test_switched_convolutions_cannot_be_computed_in_patches():
    module = RRDBNet(num_blocks=1, **SMALL, patch=8, switching=Switching(('conv_body',), breadth=2))
    with pytest.raises(InputError, match='patch=8: switched convolutions look at the whole'):
        jax.eval_shape(module.init, jax.random.key(0), jnp.zeros((1, 16, 16, 3)))
