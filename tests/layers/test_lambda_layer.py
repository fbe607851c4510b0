"""The lambda layer against its definition, pixel by pixel; the original is in test_selector."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sr_jax.errors import InputError
from sr_jax.layers.lambda_layer import LambdaLayer


def test_against_one_matrix_for_each_pixel():
    """The paper's lambda_n, written out with the position filters as a matrix over the pixels."""
    n, h, w, keys, width, heads, radius = 2, 4, 5, 3, 2, 2, 5
    layer = LambdaLayer(heads * width, heads=heads, keys=keys, radius=radius)
    x = jax.random.normal(jax.random.key(0), (n * h * w * 4,)).reshape(n, h, w, 4)
    y, variables = layer.init_with_output(jax.random.key(1), x)
    params = jax.tree.map(np.asarray, variables['params'])
    normalised = 1 / np.sqrt(1 + 1e-5)  # the running averages of a new layer
    x = np.asarray(x).reshape(n, h * w, 4)
    queries = x @ params['to_q']['kernel'] * normalised
    values = x @ params['to_v']['kernel'] * normalised
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


def test_features_must_split_into_heads():
    with pytest.raises(InputError, match='multiple of 2 features, not 3'):
        LambdaLayer(3).init(jax.random.key(0), jnp.ones((1, 2, 2, 4)))
