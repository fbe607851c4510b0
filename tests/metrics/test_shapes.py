"""Arrays that are no RGB images: every metric names their shape before it measures."""

import jaxtyping
import numpy as np
import pytest

from sr_jax.errors import InputError
from sr_jax.metrics import artifacts, nearest_crops, temporal
from sr_jax.metrics.dists import Dists
from sr_jax.metrics.fid import Fid
from sr_jax.metrics.lpips import Lpips
from sr_jax.metrics.musiq import Musiq
from sr_jax.metrics.niqe import Gaussian, Niqe
from sr_jax.metrics.protocol import parse
from sr_jax.metrics.ssim import ssim
from sr_jax.models.alexnet import Model

RGB = np.zeros((26, 32, 3), np.float32)
OF_TWO = {
    'psnr_y': parse('y_matlab_crop4').psnr,
    'ssim_y': parse('y_matlab_crop2').ssim,
    'psnr_rgb': parse('rgb_crop4').psnr,
    'ssim_rgb': parse('rgb_crop0').ssim,
    'lpips': Lpips('alex', {}),
    'dists': Dists({}),
}
OF_ONE = {
    'musiq': Musiq(Model(), {}),
    'niqe': Niqe(Gaussian(np.zeros(36), np.eye(36))),
    'fid': Fid(Model(), {}).prepare,
    'nearest_crops': nearest_crops.shrink,
}
OF_CLIPS = {
    'flat_error': artifacts.flat_error,
    'detail': artifacts.detail,
    **temporal.MEASURES,
}


@pytest.fixture(autouse=True)
def unchecked():
    """Calls go through as they do outside pytest, where jaxtyping checks nothing."""
    jaxtyping.config.update('jaxtyping_disable', True)
    yield
    jaxtyping.config.update('jaxtyping_disable', False)


@pytest.mark.parametrize(
    'shape', [(26, 32), (26, 32, 1), (26, 32, 4), (9, 26, 32, 3), (3, 26, 32), (0, 32, 3)]
)
@pytest.mark.parametrize('metric', [*OF_TWO, *OF_ONE])
def test_what_is_no_rgb_image_is_named(metric, shape):
    image = np.zeros(shape, np.float32)
    with pytest.raises(InputError) as error:
        OF_TWO[metric](image, image) if metric in OF_TWO else OF_ONE[metric](image)
    assert str(error.value).startswith(f'an array of shape {shape} is no RGB image [height, ')


@pytest.mark.parametrize('metric', [name for name in OF_TWO if name not in ('lpips', 'dists')])
def test_both_are_looked_at(metric):
    with pytest.raises(InputError, match=r'shape \(26, 32, 1\) is no RGB image'):
        OF_TWO[metric](RGB, RGB[..., :1])


@pytest.mark.parametrize('shape', [(26, 32, 3), (2, 26, 32), (2, 26, 32, 1)])
@pytest.mark.parametrize('metric', OF_CLIPS)
def test_what_is_no_clip_is_named(metric, shape):
    images = np.zeros(shape, np.float32)
    with pytest.raises(InputError, match='holds no RGB images or frames'):
        OF_CLIPS[metric](images, images)


def test_ssim_takes_any_channels_of_one_image():
    noise = np.random.default_rng(0).random((13, 17, 2))
    assert ssim(noise, noise, peak=1) == pytest.approx(1)
    with pytest.raises(InputError, match=r'shape \(1, 13, 17, 2\) is no image'):
        ssim(noise[None], noise[None], peak=1)
