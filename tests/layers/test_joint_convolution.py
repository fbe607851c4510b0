"""Maps of several sizes in one convolution, against enlarging them first."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sr_jax.errors import InputError
from sr_jax.layers import joint_convolution
from sr_jax.layers.convolution import convolve, normal_init, upsample_nearest
from sr_jax.layers.joint_convolution import JointConvolution, convolve_enlarged
from sr_jax.layers.random_draws import draw_in_loops

SIDE = st.integers(1, 5)


def noise(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape, np.float32))


# Of GPUs and of CPUs.
@pytest.mark.parametrize(
    'computed', [joint_convolution._by_kinds, joint_convolution._by_differences]
)
@settings(max_examples=5)
@given(SIDE, SIDE, st.integers(2, 5))
def test_it_is_the_convolution_of_the_enlarged_map(computed, height, width, factor):
    x, kernel = noise(6, height, width, 2), noise(3, 3, 2, 4, seed=1)

    @functools.partial(jax.jit, static_argnums=0)
    def run(function, x, kernel):
        y, pull_back = jax.vjp(function, x, kernel)
        return y, *pull_back(jnp.cos(y))

    found = run(lambda x, kernel: computed(factor, x, kernel), x, kernel)
    enlarge = functools.partial(upsample_nearest, factor=factor)
    expected = run(lambda x, kernel: convolve(enlarge(x), kernel), x, kernel)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(('platform', 'products'), [('cpu', 4), ('cuda', 1)])
def test_each_platform_has_its_own_way(platform, products):
    x, kernel = noise(1, 3, 4, 3), noise(3, 3, 3, 2, seed=1)
    program = jax.jit(lambda x, kernel: convolve_enlarged(x, kernel, 2)).trace(x, kernel)
    text = program.lower(lowering_platforms=(platform,)).as_text()
    assert text.count('stablehlo.dot_general') + text.count('stablehlo.convolution') == products


def test_maps_of_three_sizes():
    maps = [noise(1, 8, 4, 2), noise(1, 2, 1, 3, seed=1), noise(1, 8, 4, 1, seed=2)]
    maps.append(noise(1, 4, 2, 2, seed=3))
    module = JointConvolution(5, normal_init(1.0))
    variables = jax.jit(draw_in_loops(module.init))(jax.random.key(0), maps)
    assert variables['params']['kernel'].shape == (3, 3, 8, 5)

    @jax.jit
    def enlarge_first(maps, kernel):
        whole = [upsample_nearest(x, 8 // x.shape[1]) for x in maps]
        return convolve(jnp.concatenate(whole, axis=-1), kernel)

    expected = enlarge_first(maps, variables['params']['kernel'])
    found = jax.jit(module.apply)(variables, maps)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('size', [(3, 2), (2, 4), (16, 8)])
def test_other_sizes_are_refused(size):
    maps = [noise(1, 8, 4, 2), noise(1, *size, 3)]
    with pytest.raises(InputError, match=f'{size[0]} x {size[1]} pixels cannot be enlarged'):
        JointConvolution(5, normal_init(1.0)).init(jax.random.key(0), maps)
