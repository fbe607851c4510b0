"""Each channel by itself: against NumPy, and as one convolution for programs that others run."""

import jax
import numpy as np
import pytest

from sr_jax.layers.depthwise import (
    DepthwiseConvolution,
    DepthwiseReduction,
    whole_convolutions,
)


@pytest.mark.parametrize('taps', [3, 5])
def test_both_ways_are_the_sum_of_what_is_near(taps):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 7, 9, 4), np.float32)
    layer = DepthwiseConvolution(taps)
    kernel = rng.standard_normal((taps, taps, 1, 4), np.float32)
    variables = {'params': {'kernel': kernel, 'bias': rng.standard_normal(4, np.float32)}}
    around = taps // 2
    padded = np.pad(x, ((0, 0), (around, around), (around, around), (0, 0)))
    expected = variables['params']['bias'] + np.zeros(x.shape)
    for i, j in np.ndindex(taps, taps):
        expected += padded[:, i : i + 7, j : j + 9] * kernel[i, j, 0]

    def apply(x):
        return layer.apply(variables, x)

    np.testing.assert_allclose(jax.jit(apply)(x), expected, 1e-5, 1e-5)
    with whole_convolutions():
        made = jax.make_jaxpr(lambda x: apply(x))(x)
    names = [equation.primitive.name for equation in made.eqns]
    assert (names.count('conv_general_dilated'), names.count('slice')) == (1, 0)
    found = jax.core.eval_jaxpr(made.jaxpr, made.consts, x)[0]
    np.testing.assert_allclose(found, expected, 1e-5, 1e-5)


def test_both_ways_make_one_pixel_of_each_square():
    rng = np.random.default_rng(1)
    x = rng.standard_normal((2, 7, 9, 4), np.float32)
    kernel = rng.standard_normal((3, 3, 1, 4), np.float32)
    variables = {'params': {'kernel': kernel, 'bias': rng.standard_normal(4, np.float32)}}
    expected = variables['params']['bias'] + np.zeros((2, 2, 3, 4))
    for i, j in np.ndindex(3, 3):
        expected += x[:, i:6:3, j::3] * kernel[i, j, 0]
    layer = DepthwiseReduction(3)
    np.testing.assert_allclose(layer.apply(variables, x), expected, 1e-5, 1e-5)
    with whole_convolutions():
        np.testing.assert_allclose(layer.apply(variables, x), expected, 1e-5, 1e-5)
