import jax.numpy as jnp
import numpy as np
import pytest
from tiny_networks import network

from sr_jax.commands.shared import measures
from sr_jax.degradations import bicubic
from sr_jax.errors import InputError
from sr_jax.images.files import save_image
from sr_jax.inference.networks import LoadedNetwork
from sr_jax.metrics import niqe
from sr_jax.metrics.protocol import parse
from sr_jax.models import inception

HQ = np.random.default_rng(0).random((24, 32, 3), np.float32)


def shrunk(image, scale):
    return np.asarray(bicubic.degrade(jnp.asarray(image)[None], scale, rounded=True)[0])


@pytest.mark.parametrize('kind', [np.float32, np.uint8])
def test_consistency_is_the_psnr_of_the_result_shrunk_again(kind):
    measure = measures.Measures([], [], 2)
    lq = shrunk(HQ, 2)
    given = lq if kind == np.float32 else np.rint(lq * 255).astype(kind)
    assert measure(HQ, HQ, given) == {'lq_psnr_rgb_crop0': np.inf}
    lighter = np.clip(HQ + np.float32(0.1), 0, 1)
    expected = parse('rgb_crop0').psnr(shrunk(lighter, 2), lq)
    assert measure(lighter, HQ, given) == {'lq_psnr_rgb_crop0': pytest.approx(expected)}
    assert 19 < expected < 24


def test_without_a_scale_there_is_no_consistency():
    measure = measures.Measures([parse('rgb_crop1')], [], None)
    assert measure.names == ['psnr_rgb_crop1', 'ssim_rgb_crop1']
    assert list(measure(HQ, HQ, shrunk(HQ, 2))) == measure.names


def test_the_scale_is_cropped_if_nothing_is_said():
    assert [p.name for p in measures.read_protocols(None, 3)] == ['y_matlab_crop3', 'rgb_crop3']
    assert [p.name for p in measures.read_protocols(None, None)] == ['y_matlab_crop0', 'rgb_crop0']
    assert [p.name for p in measures.read_protocols('rgb_crop7', 3)] == ['rgb_crop7']


def test_a_kind_of_lpips_is_loaded_once(monkeypatch):
    loaded = []
    monkeypatch.setattr(measures.lpips, 'load', loaded.append)
    measures.load_perceptual(['vgg', 'alex', 'vgg'])
    assert loaded == ['vgg', 'alex']


class Brightness:
    """In the place of NIQE and MUSIQ."""

    name = 'brightness'

    def __call__(self, image):
        return float(image.mean())


def test_what_looks_at_no_true_image_is_given_none():
    measure = measures.Measures([], [], None, [Brightness()])
    assert measure.names == ['brightness']
    assert measure(HQ, None, None) == {'brightness': pytest.approx(HQ.mean())}


def test_a_model_of_niqe_is_read_or_fitted(monkeypatch, tmp_path):
    asked, model = [], niqe.Gaussian(np.zeros(36), np.eye(36))

    def fit(images):
        asked.extend(image.shape for image in images)
        return model

    monkeypatch.setattr(measures.niqe, 'fit', fit)
    monkeypatch.setattr(measures.niqe, 'read', lambda path: asked.append(path) or model)
    save_image(tmp_path / 'a.png', HQ)
    for source in (f'folder:{tmp_path}', 'model.mat'):
        assert measures.load_niqe(source).name == 'niqe'
    assert asked == [HQ.shape, 'model.mat']


def test_musiq_takes_the_weights_of_its_network_only(monkeypatch):
    found = LoadedNetwork({'name': 'musiq', 'classes': 2}, {'params': {}}, 'm.pth')
    monkeypatch.setattr(measures.networks, 'load', lambda path: found)
    assert measures.load_musiq('m.pth').name == 'musiq'
    monkeypatch.setattr(measures.networks, 'load', lambda path: network('rrdb'))
    with pytest.raises(InputError, match=r'm\.pth: MUSIQ needs .* these are weights of rrdb'):
        measures.load_musiq('m.pth')


def test_fid_takes_the_weights_of_its_network_only(monkeypatch):
    found = LoadedNetwork({'name': 'inception'}, {'params': {}}, 'f.pth')
    monkeypatch.setattr(measures.networks, 'load', lambda path: found)
    assert measures.load_fid('f.pth', 'bicubic').name == 'fid_bicubic'
    assert found.module() == inception.Model()
    monkeypatch.setattr(measures.networks, 'load', lambda path: network('rrdb'))
    with pytest.raises(InputError, match=r'f\.pth: FID needs .* these are weights of rrdb'):
        measures.load_fid('f.pth', 'bilinear')
