"""SRVGGNetCompact against its definition, written out on the original's names and layouts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from sr_jax.errors import InputError
from sr_jax.layers.random_draws import draw_in_loops
from sr_jax.models.srvgg import SRVGGNetCompact
from sr_jax.pretrained import srvgg as weights


def by_definition(state, x, scale, slope):
    """The network on a state dictionary and an image [c, h, w]: a convolution, a PReLU, ..."""
    h, depth = x[None], 1 + max(int(name.split('.')[1]) for name in state)
    for i in range(depth):
        weight = state.get(f'body.{i}.weight', slope)
        if np.ndim(weight) < 2:
            h = jnp.maximum(h, 0) + np.reshape(weight, (1, -1, 1, 1)) * jnp.minimum(h, 0)
        else:
            h = lax.conv(h, weight, (1, 1), 'SAME') + state[f'body.{i}.bias'].reshape(1, -1, 1, 1)
    image = np.repeat(np.repeat(x, scale, axis=1), scale, axis=2)
    for c, dy, dx in np.ndindex(3, scale, scale):
        image[c, dy::scale, dx::scale] += h[0, (c * scale + dy) * scale + dx]
    return image


@pytest.mark.parametrize(('activation', 'slope'), [('prelu', None), ('leaky_relu', 0.1)])
def test_against_the_definition(activation, slope):
    model = SRVGGNetCompact(scale=3, features=6, num_convs=2, activation=activation)
    x = np.random.default_rng(0).random((3, 5, 4), np.float32)
    variables = jax.jit(draw_in_loops(model.init))(jax.random.key(0), jnp.zeros((1, 4, 6, 3)))
    slopes = jax.random.uniform(jax.random.key(1), (3, 6))
    for i in range(3 if slope is None else 0):
        assert np.unique(variables['params'][f'block_{i}']['slope']) == [0.25]
        variables['params'][f'block_{i}']['slope'] = slopes[i]
    y = jax.jit(model.apply)(variables, x.transpose(1, 2, 0)[None])
    expected = by_definition(weights.to_torch(variables), x, 3, slope)
    np.testing.assert_allclose(y[0].transpose(2, 0, 1), expected, rtol=1e-4, atol=1e-5)


def test_an_activation_that_there_is_not_is_refused():
    with pytest.raises(InputError, match="no activation 'gelu', but prelu, relu, leaky_relu"):
        SRVGGNetCompact(activation='gelu').init(jax.random.key(0), jnp.zeros((1, 4, 6, 3)))
