import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sr_jax.errors import InputError
from sr_jax.layers.random_draws import draw_in_loops
from sr_jax.losses.perceptual import perceptual_loss
from sr_jax.models import vgg

IMAGES = jnp.array(np.random.default_rng(0).random((1, 6, 4, 3)), jnp.float32)


def made(outputs, **fields):
    model = vgg.Model(outputs, **fields)
    return model, jax.jit(draw_in_loops(model.init))(jax.random.key(0), IMAGES)


def correlate(x, layer):
    """Cross-correlation with one pixel of zeros around, as a loop over the taps."""
    padded = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])
    height, width = x.shape[1:3]
    kernel = np.asarray(layer['kernel'], np.float64)
    return np.asarray(layer['bias'], np.float64) + sum(
        padded[:, i : i + height, j : j + width] @ kernel[i, j] for i in range(3) for j in range(3)
    )


def test_the_first_layers_against_loops():
    outputs = ('conv1_1', 'relu1_1', 'conv1_2', 'relu1_2', 'pool1', 'conv2_1')
    model, variables = made(outputs)
    found = model.apply(variables, IMAGES)
    params, wanted = variables['params'], {}
    x = (np.asarray(IMAGES, np.float64) - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    for number in ('1_1', '1_2'):
        wanted[f'conv{number}'] = correlate(x, params[f'conv{number}'])
        x = wanted[f'relu{number}'] = np.maximum(wanted[f'conv{number}'], 0)
    wanted['pool1'] = x.reshape(1, 3, 2, 2, 2, 64).max(axis=(2, 4))
    wanted['conv2_1'] = correlate(wanted['pool1'], params['conv2_1'])
    assert tuple(found) == outputs
    for name in outputs:
        np.testing.assert_allclose(found[name], wanted[name], rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.parametrize(('depth', 'last'), [(16, 'conv5_3'), (19, 'conv5_4')])
def test_layers_have_their_names_and_sizes(depth, last):
    names = tuple(layer.name for layer in vgg.plan(depth))
    assert names[-3:] == (last, last.replace('conv', 'relu'), 'pool5')
    model = vgg.Model(names, depth)
    images = jax.ShapeDtypeStruct((1, 33, 16, 3), jnp.float32)
    found, _ = jax.eval_shape(model.init_with_output, jax.random.key(0), images)
    assert found['relu1_2'].shape == (1, 33, 16, 64)
    assert found['conv3_3'].shape == (1, 8, 4, 256)
    assert found[last].shape == (1, 2, 1, 512)
    assert sum(name.startswith('conv') for name in found) == depth - 3


def test_what_lies_beyond_the_last_output_is_neither_computed_nor_held():
    _, variables = made(('pool1', 'conv1_1'))
    assert set(variables['params']) == {'conv1_1', 'conv1_2'}


def test_half_precision_is_returned_and_parameters_stay_float32():
    model, variables = made(('relu1_1',), dtype='bfloat16')
    assert model.apply(variables, IMAGES)['relu1_1'].dtype == jnp.bfloat16
    assert variables['params']['conv1_1']['kernel'].dtype == jnp.float32


def test_it_serves_the_perceptual_loss():
    model, variables = made(('conv1_2',))

    def loss(x):
        def features(z):
            return model.apply(variables, z)

        return perceptual_loss(features, x, IMAGES, {'conv1_2': 1.0})

    value, gradient = jax.jit(jax.value_and_grad(loss))(IMAGES[:, ::-1])
    assert value > 0 and np.abs(gradient).max() > 0


def test_what_cannot_be_is_named():
    with pytest.raises(InputError, match="VGG16 has no layer 'conv5_4'; did you mean 'conv5_"):
        made(('conv5_4',), depth=16)
    with pytest.raises(InputError, match='16 or 19, not 11'):
        made(('conv1_1',), depth=11)
    with pytest.raises(InputError, match='no layer; name some'):
        made(())
