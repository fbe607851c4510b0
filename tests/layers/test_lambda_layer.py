"""The lambda layer against its definition, pixel by pixel; the original is in test_selector."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from sr_jax.errors import InputError
from sr_jax.layers.lambda_layer import LambdaLayer, correlate_large, correlate_small


def test_against_one_matrix_for_each_pixel():
    """The paper's lambda_n, written out with the position filters as a matrix over the pixels."""
    n, h, w, keys, width, heads, radius = 2, 4, 6, 3, 7, 8, 5
    layer = LambdaLayer(heads * width, heads=heads, keys=keys, radius=radius)
    x = jnp.asarray(np.random.default_rng(0).standard_normal((n, h, w, 9), np.float32))
    y, variables = jax.jit(layer.init_with_output)(jax.random.key(1), x)
    params = jax.tree.map(np.asarray, variables['params'])
    normalized = 1 / np.sqrt(1 + 1e-5)  # the running averages of a new layer
    x = np.asarray(x).reshape(n, h * w, 9)
    queries = x @ params['to_q']['kernel'] * normalized
    values = x @ params['to_v']['kernel'] * normalized
    weights = np.asarray(jax.nn.softmax(x @ params['to_k']['kernel'], axis=1))
    padded = np.pad(values.reshape(n, h, w, width), ((0, 0), (2, 2), (2, 2), (0, 0)))
    for pixel in range(h * w):
        row, column = divmod(pixel, w)
        window = padded[:, row : row + radius, column : column + radius]
        filters = params['position_kernel'][:, :, 0]
        position = np.einsum('nijv,ijk->nkv', window, filters)
        position += params['position_bias'][None, :, None]
        matrix = np.einsum('nmk,nmv->nkv', weights, values) + position
        query = queries[:, pixel].reshape(n, heads, keys)
        expected = np.einsum('nak,nkv->nav', query, matrix).reshape(n, -1)
        np.testing.assert_allclose(y[:, row, column], expected, rtol=1e-4, atol=1e-5)


SMALL, LARGE = [(1, 1), (2, 3), (5, 4), (9, 7)], [(3, 64), (4, 65), (2, 130)]


@functools.partial(jax.jit, static_argnums=0)
def differentiate(correlate, maps, kernel, cotangent):
    y, pull_back = jax.vjp(correlate, maps, kernel)
    return y, pull_back(cotangent)


@pytest.mark.parametrize(
    ('correlate', 'size'),
    [(correlate_small, size) for size in SMALL]
    + [(correlate_large, size) for size in SMALL + LARGE],
)
def test_maps_are_correlated_as_by_a_convolution(correlate, size):
    maps = jnp.asarray(np.random.default_rng(0).standard_normal((3, *size), np.float32))
    kernel = jnp.asarray(np.random.default_rng(1).standard_normal((5, 5, 1, 2), np.float32))

    def plainly(maps, kernel):
        layout = ('NHWC', 'HWIO', 'NHWC')
        return lax.conv_general_dilated(
            maps[..., None], kernel, (1, 1), 'SAME', dimension_numbers=layout
        )

    cotangent = np.random.default_rng(2).standard_normal((3, *size, 2)).astype(np.float32)
    ours, of_ours = differentiate(correlate, maps, kernel, cotangent)
    plain, of_plain = differentiate(plainly, maps, kernel, cotangent)
    np.testing.assert_allclose(ours, plain, rtol=1e-5, atol=1e-5)
    for a, b in zip(of_ours, of_plain, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-4)


def test_features_must_split_into_heads():
    with pytest.raises(InputError, match='multiple of 2 features, not 3'):
        LambdaLayer(3).init(jax.random.key(0), jnp.ones((1, 2, 2, 4)))
