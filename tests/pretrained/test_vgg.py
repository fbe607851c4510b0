"""Importing and exporting VGG weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sr_jax.errors import InputError
from sr_jax.models.vgg import Model
from sr_jax.pretrained import vgg

# torchvision's numbers of the convolutions: a pooling layer lies where three are between two.
INDICES = {
    16: (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28),
    19: (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34),
}
WIDTHS = {
    16: (64,) * 2 + (128,) * 2 + (256,) * 3 + (512,) * 6,
    19: (64,) * 2 + (128,) * 2 + (256,) * 4 + (512,) * 8,
}


def torch_state(depth):
    """A state dictionary with torchvision's names and shapes; values without memory behind them,
    but for the first layer's."""
    state, inputs = {'classifier.0.weight': np.zeros((2, 2))}, 3
    for index, width in zip(INDICES[depth], WIDTHS[depth], strict=True):
        shape = (width, inputs, 3, 3)
        state[f'features.{index}.weight'] = np.broadcast_to(np.float32(index), shape)
        state[f'features.{index}.bias'] = np.broadcast_to(np.float32(-index), (width,))
        inputs = width
    rng = np.random.default_rng(0)
    state['features.0.weight'] = rng.standard_normal((64, 3, 3, 3)).astype(np.float32)
    return state


@pytest.mark.parametrize(('depth', 'last'), [(16, 'conv5_3'), (19, 'conv5_4')])
def test_import_fills_every_parameter_and_back(depth, last):
    state = {f'module.{name}': value for name, value in torch_state(depth).items()}
    assert vgg.fields(state) == {'depth': depth}
    found = vgg.from_torch(state)
    model, images = Model((last,), depth), jax.ShapeDtypeStruct((1, 16, 16, 3), jnp.float32)
    wanted = jax.eval_shape(model.init, jax.random.key(0), images)
    assert jax.tree.map(np.shape, found) == jax.tree.map(np.shape, wanted)
    assert found['params'][last]['kernel'][0, 0, 0, 0] == INDICES[depth][-1]
    assert found['params']['conv3_1']['bias'][0] == -10
    back = vgg.to_torch(found)
    expected = torch_state(depth)
    del expected['classifier.0.weight']
    assert back.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(back[name], value, err_msg=name)


def test_kernels_are_turned_into_our_layout():
    state = torch_state(16)
    kernel = vgg.from_torch(state)['params']['conv1_1']['kernel']
    assert kernel[0, 2, 1, 5] == state['features.0.weight'][5, 1, 0, 2]
    images = np.random.default_rng(1).random((1, 3, 3, 3), np.float32)
    found = Model(('conv1_1',), 16).apply(vgg.from_torch(state), images)
    x = (images[0] - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    center = np.einsum('ocij,ijc->o', state['features.0.weight'], x)
    np.testing.assert_allclose(found['conv1_1'][0, 1, 1], center, rtol=1e-4, atol=1e-4)


def test_other_weights_are_refused():
    state = torch_state(16)
    del state['features.28.bias']
    with pytest.raises(InputError, match='not the weights of torchvision'):
        vgg.from_torch(state)
    with pytest.raises(InputError, match=r"found: \['conv.weight'\]"):
        vgg.fields({'conv.weight': np.zeros((1, 1, 3, 3))})
    params = vgg.from_torch(torch_state(16))['params']
    with pytest.raises(InputError, match='no conv1_2'):
        vgg.to_torch({'params': {'conv1_1': params['conv1_1']}})
