import json

import numpy as np
import pytest

from sr_jax.errors import InputError
from sr_jax.pretrained import vgg as vgg_weights
from sr_jax.tasks import feature_network
from sr_jax.tasks.feature_network import Perceptual


def written(path, arrays):
    """Writes arrays as a .safetensors file, by its specification."""
    header, offset = {'__metadata__': {'format': 'pt'}}, 0
    for name, value in arrays.items():
        ends = [offset, offset + value.nbytes]
        header[name] = {'dtype': 'F32', 'shape': list(value.shape), 'data_offsets': ends}
        offset = ends[1]
    text = json.dumps(header).encode()
    data = b''.join(value.tobytes() for value in arrays.values())
    path.write_bytes(len(text).to_bytes(8, 'little') + text + data)
    return str(path)


@pytest.fixture
def vgg16(monkeypatch):
    """A state of VGG16 that takes no memory, in the place of every file."""
    widths, state, inputs = (64, 64, 128, 128, *[256] * 3, *[512] * 6), {}, 3
    layers = [name for name, _ in vgg_weights._layers(16)]
    for name, width in zip(layers, widths, strict=True):
        state[f'{name}.weight'] = np.broadcast_to(np.float32(0.5), (width, inputs, 3, 3))
        state[f'{name}.bias'] = np.zeros(width, np.float32)
        inputs = width
    monkeypatch.setattr(feature_network, '_read', lambda path: state)


def test_weights_of_a_file_are_those_of_the_layers_in_use(vgg16):
    settings = Perceptual(1.0, network='vgg16', layers={'relu1_1': 0.5}, weights='vgg16.pth')
    params = feature_network.frozen(settings)
    assert set(params) == {'conv1_1'}
    features = feature_network.features(settings, params, 'float32', remat=True)
    found = features(np.full((1, 3, 3, 3), 0.7, np.float32))['relu1_1']
    normalised = (0.7 - np.array([0.485, 0.456, 0.406])) / [0.229, 0.224, 0.225]
    np.testing.assert_allclose(found[0, 1, 1], 9 * 0.5 * normalised.sum(), rtol=1e-4)


def test_weights_of_another_network_are_refused(vgg16):
    with pytest.raises(InputError, match='are not those of vgg19'):
        feature_network.frozen(Perceptual(1.0, weights='vgg16.pth'))


def test_a_term_without_weight_reads_nothing():
    assert feature_network.frozen(Perceptual(0.0, weights='missing')) is None


def test_a_file_is_read_as_it_was_written(tmp_path):
    arrays = {'a': np.arange(6, dtype=np.float32).reshape(2, 3), 'b': np.ones(2, np.float32)}
    found = feature_network._read(written(tmp_path / 'weights.safetensors', arrays))
    assert found.keys() == arrays.keys()
    for name, value in arrays.items():
        np.testing.assert_array_equal(found[name], value)


@pytest.mark.parametrize('content', [None, b'', b'not weights at all'])
def test_a_file_that_cannot_be_read_is_named(tmp_path, content):
    path = tmp_path / 'broken.safetensors'
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r'broken\.safetensors is no \.safetensors file'):
        feature_network.frozen(Perceptual(1.0, weights=str(path)))
