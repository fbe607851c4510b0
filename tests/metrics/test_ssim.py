import numpy as np
import pytest
from skimage.metrics import structural_similarity

from sr_jax.errors import InputError
from sr_jax.metrics.ssim import ssim


def noisy_pair(shape):
    rng = np.random.default_rng(0)
    image = rng.random(shape)
    return image, np.clip(image + 0.2 * rng.standard_normal(shape), 0, 1)


def test_equal_images_are_1():
    image, _ = noisy_pair((12, 15, 3))
    assert ssim(image, image, peak=1) == pytest.approx(1, abs=1e-12)


def test_the_peak_only_sets_the_scale():
    image, other = noisy_pair((14, 13, 3))
    scaled = ssim(image * 255, other * 255, peak=255)
    assert ssim(image, other, peak=1) == pytest.approx(scaled, abs=1e-12)


def test_it_agrees_with_scikit_image_where_the_window_is_inside():
    image, other = noisy_pair((30, 27, 2))
    _, similarity = structural_similarity(
        image,
        other,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=1,
        channel_axis=2,
        full=True,
    )
    expected = similarity[5:-5, 5:-5].mean()
    assert ssim(image, other, peak=1) == pytest.approx(expected, abs=1e-10)


def test_the_smallest_image_is_one_window():
    image, other = noisy_pair((11, 11, 3))
    assert -1 <= ssim(image, other, peak=1) < 1
    with pytest.raises(InputError, match='at least 11x11 pixels after cropping, there are 11x10'):
        ssim(image[:10], other[:10], peak=1)


def test_shapes_must_agree():
    with pytest.raises(ValueError, match='shape'):
        ssim(np.ones((12, 12, 3)), np.ones((12, 12, 1)), peak=1)
