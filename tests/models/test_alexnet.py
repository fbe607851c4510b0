import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sr_jax.errors import InputError
from sr_jax.models import alexnet

NAMES = tuple(f'relu{i}_1' for i in range(1, 6))


def shapes_of(outputs, height, width):
    images = jax.ShapeDtypeStruct((2, height, width, 3), jnp.float32)
    model = alexnet.Model(outputs)
    return jax.eval_shape(model.init_with_output, jax.random.key(0), images)


def test_layers_have_the_sizes_of_torchvisions():
    found, _ = shapes_of(NAMES, 224, 63)
    assert {name: x.shape for name, x in found.items()} == {
        'relu1_1': (2, 55, 15, 64),
        'relu2_1': (2, 27, 7, 192),
        'relu3_1': (2, 13, 3, 384),
        'relu4_1': (2, 13, 3, 256),
        'relu5_1': (2, 13, 3, 256),
    }


def test_only_what_leads_to_the_last_output_is_held():
    found, variables = shapes_of(('relu2_1',), 64, 64)
    assert set(found) == {'relu2_1'}
    assert set(variables['params']) == {'conv1_1', 'conv2_1'}


def test_half_precision_is_returned_and_parameters_stay_float32():
    model = alexnet.Model(('relu1_1',), 'bfloat16')
    found, variables = jax.eval_shape(
        model.init_with_output, jax.random.key(0), jnp.zeros((1, 32, 32, 3))
    )
    assert found['relu1_1'].dtype == jnp.bfloat16
    assert variables['params']['conv1_1']['kernel'].dtype == jnp.float32


@pytest.mark.parametrize('outputs', [('relu1_2',), ()])
def test_an_unknown_layer_is_told_the_nearest(outputs):
    with pytest.raises(InputError, match='AlexNet has no layer'):
        shapes_of(outputs, 64, 64)


def test_the_first_layer_against_loops():
    model, random = alexnet.Model(('relu1_1',)), np.random.default_rng(0)
    x = random.random((1, 15, 19, 3), np.float32)
    layer = {'kernel': random.normal(0, 0.05, (11, 11, 3, 64)), 'bias': random.random(64)}
    params = {'conv1_1': {name: jnp.asarray(v, jnp.float32) for name, v in layer.items()}}
    y = jax.jit(model.apply)({'params': params}, x)
    x = (np.float64(x) - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    x = np.pad(x, [(0, 0), (2, 2), (2, 2), (0, 0)])
    for i in range(3):
        for j in range(4):
            patch = x[0, 4 * i : 4 * i + 11, 4 * j : 4 * j + 11]
            wanted = np.maximum(np.tensordot(patch, layer['kernel'], 3) + layer['bias'], 0)
            np.testing.assert_allclose(y['relu1_1'][0, i, j], wanted, rtol=1e-4, atol=1e-5)
