"""NIQE against pyiqa, with a model that was made."""

import numpy as np
import pytest
import scipy.io
import seeded

from sr_jax.errors import InputError
from sr_jax.metrics import niqe


def image(seed, height, width):
    return seeded.images(seed, 1, height, width)[0] / np.float32(255)


def test_it_agrees_with_pyiqa(golden, tmp_path):
    arrays = golden('metric_niqe')
    scipy.io.savemat(
        tmp_path / 'model.mat',
        {'mu_prisparam': arrays['in/mean'][None], 'cov_prisparam': arrays['in/covariance']},
        do_compression=True,
    )
    metric = niqe.Niqe(niqe.read(tmp_path / 'model.mat'))
    flat = image(9, 100, 391)
    flat[:, :96] = np.float32(130 / 255)
    found = [metric(image(8, 200, 290)), metric(flat)]
    np.testing.assert_allclose(found, arrays['out/niqe'], rtol=1e-4)


def test_a_model_is_fitted_to_sharp_patches():
    images = [image(seed, 200, 1000) for seed in range(4)]
    for x in images:
        x[96:] = 0.5 + 0.01 * (x[96:] - 0.5)  # ten of twenty patches are not sharp
    with pytest.raises(InputError, match='sharp patches of 96x96: 37 of them, and there are 30'):
        niqe.fit(images[:3])
    model = niqe.fit([*images, image(0, 95, 300)])
    without = niqe.fit([x[:96] for x in images])
    np.testing.assert_allclose(model.mean, without.mean, atol=0.05)
    blurred = np.cumsum(image(20, 200, 300), axis=1) / np.arange(1, 301)[:, None]
    measure = niqe.Niqe(model)
    assert measure(image(20, 200, 300)) < measure(blurred.astype(np.float32))


def test_too_small_an_image_is_said():
    model = niqe.Gaussian(np.zeros(36), np.eye(36))
    for size in ((95, 300), (190, 100)):
        with pytest.raises(InputError, match='needs patches of 96x96 pixels .* 2 of them'):
            niqe.Niqe(model)(image(0, *size))


@pytest.mark.parametrize('content', [None, b'', b'MATLAB 5.0', {'mu_prisparam': np.zeros((1, 35))}])
def test_files_of_no_use_are_named(tmp_path, content):
    path = tmp_path / 'a.mat'
    if isinstance(content, dict):
        scipy.io.savemat(path, content)
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r'a\.mat'):
        niqe.read(path)


def test_a_model_that_is_not_finite_is_refused(tmp_path):
    full = {'mu_prisparam': np.full((1, 36), np.nan), 'cov_prisparam': np.eye(36)}
    scipy.io.savemat(tmp_path / 'a.mat', full)
    with pytest.raises(InputError, match='not finite'):
        niqe.read(tmp_path / 'a.mat')
