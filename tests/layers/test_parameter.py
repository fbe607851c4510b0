"""A parameter is made once, and found at every other call."""

import flax.errors
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from one_program import apply, init

from sr_jax.layers.parameter import parameter

MADE = []


class Scale(nn.Module):
    shape: tuple[int, ...]

    @nn.compact
    def __call__(self, x):
        def start(key, shape, dtype):
            MADE.append(shape)
            return jax.random.normal(key, shape, dtype)

        return x * parameter(self, 'scale', start, self.shape)[None]


def test_it_is_made_as_flax_makes_it_and_then_found():
    x, key = jnp.ones((2, 3)), jax.random.key(4)
    MADE.clear()
    variables = init(Scale((3,)), key, x)
    assert MADE == [(3,)]
    y = apply(Scale((3,)), variables, x)
    assert MADE == [(3,)]
    np.testing.assert_array_equal(y, jnp.broadcast_to(variables['params']['scale'], (2, 3)))


def test_it_is_float32_where_jax_has_float64():
    with jax.enable_x64(True):
        variables = jax.eval_shape(Scale((3,)).init, jax.random.key(4), np.ones((2, 3), np.float32))
    assert variables['params']['scale'].dtype == jnp.float32


def test_another_shape_is_refused_by_its_name():
    variables = {'params': {'scale': np.ones(5, np.float32)}}
    with pytest.raises(flax.errors.ScopeParamShapeError, match=r'scale.*\(3,\).*\(5,\)'):
        jax.eval_shape(Scale((3,)).apply, variables, jnp.ones((2, 3)))
