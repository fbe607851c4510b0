"""ResNets against torchvision's, computed in float64: values, gradients, averages, files."""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from foreign_networks import draw, draw_cotangent, draw_images, is_moving, probe
from parity import error, nhwc

from sr_jax import models
from sr_jax.errors import InputError
from sr_jax.layers import switching
from sr_jax.layers.resnet import Backbone, max_pool
from sr_jax.layers.switching import Switching
from sr_jax.models.resnet import ResNet
from sr_jax.pretrained import recognition, resnet

NAMES = ('classifier_resnet10', 'classifier_resnet14')


def load(golden, name):
    """A fixture, its images, the state dictionary that it was made with, and what that holds."""
    arrays = golden(name)
    meta = json.loads(str(arrays['meta/json']))
    state = draw(meta['arrays'])
    return arrays, nhwc(draw_images(meta['shape'])), state, recognition.recognize(state, name)


@pytest.mark.parametrize('name', NAMES)
def test_values_gradients_and_averages_are_torchvisions(golden, name):
    arrays, x, state, found = load(golden, name)
    module, params = models.make(found.model), found.variables['params']
    others = {k: v for k, v in found.variables.items() if k != 'params'}
    mutable = [*switching.MUTABLE, 'batch_stats']
    train = functools.partial(module.apply, train=True, mutable=mutable)

    @jax.jit
    def run(params, x, cotangent):
        evaluated = module.apply({**others, 'params': params}, x)
        y, pull_back, changed = jax.vjp(
            lambda p, x: train({**others, 'params': p}, x), params, x, has_aux=True
        )
        return evaluated, y, changed['batch_stats'], *pull_back(cotangent)

    cotangent = jnp.asarray(draw_cotangent(arrays['out/train'].shape))
    evaluated, trained, after, gradients, gradient_x = run(params, x, cotangent)
    assert error(evaluated, arrays['out/eval']) < 1e-5
    assert error(trained, arrays['out/train']) < 1e-4
    assert error(gradient_x, nhwc(arrays['grad/in/x'])) < 1e-4
    theirs = resnet.to_torch({**others, 'params': gradients})
    found_probes = probe({key: theirs[key] for key in state if not is_moving(key)})
    expected = arrays['grad/probe']
    scale = np.maximum(expected[:, :1], 1e-3 * expected[:, 0].max())
    assert (np.abs(found_probes - expected) / scale).max() < 1e-4
    theirs = resnet.to_torch({'params': params, 'batch_stats': after})
    averages = [k for k in state if is_moving(k) and not k.endswith(resnet.COUNTER)]
    expected = arrays['after/probe']
    errors = np.abs(probe({key: theirs[key] for key in averages}) - expected)
    assert (errors / expected[:, :1]).max() < 1e-4


@pytest.mark.parametrize('name', NAMES)
def test_files_come_back_bit_for_bit(golden, name):
    _, _, state, found = load(golden, name)
    back = recognition.foreign_names('resnet', models.make(found.model), found.variables, name)
    assert back.keys() == state.keys()
    for key, value in state.items():
        assert back[key].dtype == value.dtype, key
        np.testing.assert_array_equal(back[key], value, err_msg=key)


@pytest.mark.parametrize('depth', [18, 34, 50])
def test_the_depth_is_told_by_the_arrays(depth):
    module = ResNet(depth, classes=6, features=3, stem='small')
    shapes = jax.eval_shape(module.init, jax.random.key(0), module.example(1))
    variables = jax.tree.map(lambda s: np.broadcast_to(np.float32(0), s.shape), shapes)
    found = resnet.fields(resnet.to_torch(variables))
    assert found == {'depth': depth, 'classes': 6, 'features': 3, 'stem': 'small'}


def test_what_is_another_network_is_refused(golden):
    _, _, state, _ = load(golden, 'classifier_resnet10')
    with pytest.raises(InputError, match=r'\(2, 1, 1, 1\) blocks in its stages'):
        recognition.recognize({**state, 'layer1.1.conv1.weight': np.zeros((2, 2, 3, 3))}, 'x')
    with pytest.raises(InputError, match='it is wider'):
        recognition.recognize({**state, 'fc.weight': np.zeros((7, 1024))}, 'x')


@pytest.mark.parametrize(('height', 'width'), [(7, 10), (6, 5), (1, 2)])
def test_pooling_is_that_of_windows(height, width):
    x = np.random.default_rng(0).standard_normal((2, height, width, 3)).astype(np.float32)
    cotangent = np.random.default_rng(1).random((2, -(-height // 2), -(-width // 2), 3))

    @jax.jit
    def both(x, cotangent):
        def windows(x):
            return nn.max_pool(x, (3, 3), (2, 2), ((1, 1), (1, 1)))

        return [(y, *pull(cotangent)) for y, pull in (jax.vjp(f, x) for f in (max_pool, windows))]

    for ours, expected in zip(*both(x, np.float32(cotangent)), strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-6)


@pytest.mark.parametrize(('stem', 'strides'), [('large', (4, 8, 16, 32)), ('small', (1, 2, 4, 8))])
def test_how_small_the_features_become(stem, strides):
    module = Backbone(14, 6, stem)
    x = jax.ShapeDtypeStruct((2, 66, 35, 3), jnp.float32)
    found, _ = jax.eval_shape(module.init_with_output, jax.random.key(0), x)
    assert [y.shape[3] for y in found] == [6, 24, 48, 96, 192]
    sizes = [(-(-66 // stride), -(-35 // stride)) for stride in strides]
    assert [y.shape[1:3] for y in found[1:]] == sizes


def test_any_convolution_can_be_switched():
    dense = ResNet(14, classes=5, features=2)
    shapes = jax.eval_shape(dense.init, jax.random.key(0), dense.example(1))
    layers = tuple(switching._find_convertible(flatten(shapes['params'])))
    assert len(layers) == 4 * 3 + 4 + 1
    layers = (*layers[:4], *layers[-2:])  # each would take its second
    module = dense.clone(switching=Switching(layers=layers, breadth=3, network='standard'))
    switched = jax.eval_shape(module.init, jax.random.key(0), module.example(1))
    switching.check_layers(switched['params'], module.switching)
    flat = flatten(switched['params'])
    assert all(flat[f'{layer}/kernel'].shape[0] == 3 for layer in layers)
    assert not any(f'{layer}/bias' in flat for layer in layers)


def flatten(params):
    leaves = jax.tree.leaves_with_path(params)
    return {jax.tree_util.keystr(k, simple=True, separator='/'): value for k, value in leaves}


@pytest.mark.parametrize(
    ('fields', 'message'),
    [
        (dict(depth=20), 'a ResNet has a depth of 10, 14, 18, 34, 50, 101, 152, not 20'),
        (dict(depth=10, stem='smal'), "stem is 'smal': did you mean 'small'"),
    ],
)
def test_what_there_is_not_is_named(fields, message):
    module = ResNet(**fields)
    with pytest.raises(InputError, match=message):
        jax.eval_shape(module.init, jax.random.key(0), module.example(1))
