import numpy as np
import pytest

from sr_jax.metrics.psnr import psnr


def test_a_known_error():
    image = np.zeros((4, 4, 3))
    assert psnr(image, image + 0.1, peak=1) == pytest.approx(20)
    assert psnr(image, image + 25.5, peak=255) == pytest.approx(20)


def test_the_error_is_one_mean_over_pixels_and_channels():
    image, reference = np.zeros((1, 2, 3)), np.zeros((1, 2, 3))
    reference[0, 0, 0] = 1
    assert psnr(image, reference, peak=1) == pytest.approx(10 * np.log10(6))


def test_equal_images_are_infinitely_good():
    assert psnr(np.ones((2, 2, 3)), np.ones((2, 2, 3)), peak=1) == float('inf')


def test_eight_bit_numbers_do_not_wrap_around():
    low, high = np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 3), 255, np.uint8)
    assert psnr(low, high, peak=255) == pytest.approx(0)


def test_shapes_must_agree():
    with pytest.raises(ValueError, match='shape'):
        psnr(np.ones((2, 2, 3)), np.ones((2, 2, 1)), peak=1)
