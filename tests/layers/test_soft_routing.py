import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from parity import assert_close, nhwc
from sr_jax.kernels.switched_conv import switched_conv
from switched import kernels

from sr_jax.layers.soft_routing import blended_convolution


def test_the_function_is_the_originals(golden):
    """Values, and gradients to the image, the gates, the kernels and the bias."""
    arrays = golden('switch_routing_normal_soft')
    blend = functools.partial(blended_convolution, stride=2)
    args = nhwc(arrays['in/x']), nhwc(arrays['in/selector']), *kernels(arrays, 'param/')
    y, pull_back = jax.vjp(blend, *args)
    assert_close(y, nhwc(arrays['out/y']), 1e-5)
    gradients = pull_back(nhwc(arrays['cotangent']))
    expected = [nhwc(arrays['grad/in/x']), nhwc(arrays['grad/in/selector'])]
    expected += kernels(arrays, 'grad/param/')
    for ours, theirs in zip(gradients, expected, strict=True):
        assert_close(ours, theirs, 1e-5)


@pytest.mark.parametrize('stride', [1, 2])
def test_one_hot_gates_make_a_hard_choice(stride):
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=(9, 6, 4, 7)), 'float32')
    kernel = jnp.asarray(rng.normal(size=(5, 3, 3, 7, 8)), 'float32')
    bias = jnp.asarray(rng.normal(size=8), 'float32')
    selector = jnp.asarray(rng.integers(0, 5, (9, 6 // stride, 4 // stride)), 'int32')
    soft = blended_convolution(x, jax.nn.one_hot(selector, 5), kernel, bias, stride)
    assert_close(soft, switched_conv(x, selector, kernel, bias, stride), 1e-5)
