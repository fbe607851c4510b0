"""Recognising, reading and writing AlexNet's weights."""

import numpy as np
import pytest

from sr_jax.errors import InputError
from sr_jax.inference import networks
from sr_jax.pretrained import alexnet, files

SHAPES = {  # torchvision's
    0: (64, 3, 11, 11),
    3: (192, 64, 5, 5),
    6: (384, 192, 3, 3),
    8: (256, 384, 3, 3),
    10: (256, 256, 3, 3),
}


@pytest.fixture
def state():
    random = np.random.default_rng(0)
    found = {'classifier.1.weight': np.zeros((1, 1), np.float32)}
    for index, shape in SHAPES.items():
        found[f'features.{index}.weight'] = np.broadcast_to(np.float32(index), shape)
        found[f'features.{index}.bias'] = random.random(shape[0], np.float32)
    found['features.0.weight'] = random.random(SHAPES[0], np.float32)
    return found


def test_a_file_of_torchvisions_is_recognised_and_goes_back(state, tmp_path):
    path = tmp_path / 'alexnet.safetensors'
    files.write_state(path, state, {})
    found = networks.load(path)
    assert found.model == {'name': 'alexnet'}
    kernel = found.variables['params']['conv1_1']['kernel']
    np.testing.assert_array_equal(kernel[2, 5, 1, 7], state['features.0.weight'][7, 1, 2, 5])
    back = alexnet.to_torch(found.variables)
    del state['classifier.1.weight']
    assert back.keys() == state.keys()
    for name, value in state.items():
        np.testing.assert_array_equal(back[name], value, err_msg=name)


def test_what_is_missing_or_does_not_fit_is_named(state, tmp_path):
    with pytest.raises(InputError, match='ends early: it has no conv2_1'):
        alexnet.to_torch({'params': {'conv1_1': {}}})
    state['features.8.bias'] = state['features.8.bias'][1:]
    path = tmp_path / 'alexnet.safetensors'
    files.write_state(path, state, {})
    with pytest.raises(InputError, match='alexnet does not fit: params/conv4_1/bias is'):
        networks.load(path)
    del state['features.8.bias']
    with pytest.raises(InputError, match=r"an AlexNet .*missing \['features.8.bias'\]"):
        alexnet.from_torch(state)
