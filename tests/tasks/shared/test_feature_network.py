import numpy as np
import pytest

from sr_jax.errors import InputError
from sr_jax.inference import networks
from sr_jax.inference.networks import LoadedNetwork
from sr_jax.tasks.shared import feature_network
from sr_jax.tasks.shared.feature_network import Perceptual


def load_vgg16(source):
    """The first layers of a VGG16, in the place of every file and name."""
    params = {
        f'conv1_{i + 1}': {
            'kernel': np.full((3, 3, inputs, 64), 0.5, np.float32),
            'bias': np.zeros(64, np.float32),
        }
        for i, inputs in enumerate((3, 64))
    }
    return LoadedNetwork({'name': 'vgg', 'depth': 16}, {'params': params}, source)


def test_weights_are_those_of_the_layers_in_use():
    settings = Perceptual(1.0, network='vgg16', layers={'relu1_1': 0.5}, weights='vgg16.pth')
    params = feature_network.load_frozen(settings, load_vgg16, True)
    assert set(params) == {'conv1_1'}
    features = feature_network.features(settings, params, 'float32', remat=True)
    found = features(np.full((1, 3, 3, 3), 0.7, np.float32))['relu1_1']
    normalized = (0.7 - np.array([0.485, 0.456, 0.406])) / [0.229, 0.224, 0.225]
    np.testing.assert_allclose(found[0, 1, 1], 9 * 0.5 * normalized.sum(), rtol=1e-4)


@pytest.mark.parametrize(
    'settings',
    [
        Perceptual(1.0, weights='vgg16.pth'),  # of a VGG19
        Perceptual(1.0, network='vgg16', layers={'conv2_1': 1.0}, weights='vgg16.pth'),
    ],
)
def test_weights_of_another_network_are_refused(settings):
    with pytest.raises(InputError, match=f'are not those of {settings.network}'):
        feature_network.load_frozen(settings, load_vgg16, True)


def test_a_term_without_weight_and_a_prediction_read_nothing():
    assert feature_network.load_frozen(Perceptual(0.0, weights='missing'), None, True) is None
    assert feature_network.load_frozen(Perceptual(1.0, weights='missing'), None, False) is None


@pytest.mark.parametrize('content', [None, b'', b'not weights at all'])
def test_a_file_that_cannot_be_read_is_named(tmp_path, content):
    path = tmp_path / 'broken.safetensors'
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r'broken\.safetensors'):
        feature_network.load_frozen(Perceptual(1.0, weights=str(path)), networks.load, True)
