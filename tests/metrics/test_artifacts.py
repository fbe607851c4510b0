import numpy as np
import pytest

from sr_jax.errors import InputError
from sr_jax.metrics.artifacts import FLAT, WINDOW, detail, flat_error

Y_OF_GRAY = 219 / 255  # Y reaches from 16/255 to 235/255
HEIGHT, WIDTH = 26, 32


def gray(value=0.5):
    return np.full((2, HEIGHT, WIDTH, 3), value)


def checkerboard(amplitude):
    """Plus and minus the amplitude, of mean 1/49 of it in each window."""
    rows, columns = np.indices((HEIGHT, WIDTH))
    return amplitude * (1 - 2 * ((rows + columns) % 2))[None, :, :, None]


def texture_half(seed=0):
    """Flat on the left, noise on the right."""
    images = gray()
    noise = np.random.default_rng(seed).choice([-0.1, 0.1], (2, HEIGHT, WIDTH // 2, 1))
    images[:, :, WIDTH // 2 :] += noise
    return images


def test_a_checkerboard_where_the_truth_is_flat_has_its_amplitude():
    found = flat_error(gray() + checkerboard(0.02), gray())
    assert found == pytest.approx(0.02 * Y_OF_GRAY * (1 - 1 / WINDOW**2))


def test_a_wrong_brightness_and_a_slow_change_are_no_artifacts():
    slope = np.linspace(0, 0.2, WIDTH)[None, None, :, None]
    assert flat_error(gray(0.6), gray()) < 1e-12
    assert flat_error(gray() + slope, gray()) < 1e-12


def test_errors_in_textured_parts_do_not_count():
    truth = texture_half()
    wrong = truth.copy()
    wrong[:, :, WIDTH // 2 :] += checkerboard(0.05)[:, :, WIDTH // 2 :]
    assert flat_error(wrong, truth) < 1e-12
    wrong[:, :, : WIDTH // 2] += checkerboard(0.05)[:, :, : WIDTH // 2]
    assert flat_error(wrong, truth) > 0.03


def test_flat_is_a_matter_of_the_standard_deviation():
    inside, outside = (checkerboard(factor * FLAT / Y_OF_GRAY) for factor in (0.99, 1.01))
    assert flat_error(gray(), gray() + inside) > 0.9 * FLAT
    with pytest.raises(InputError, match='flat'):
        flat_error(gray(), gray() + outside)


def test_detail_falls_with_blur_and_rises_with_contrast():
    truth = texture_half()
    assert detail(truth, truth) == pytest.approx(1)
    blurred = (truth + np.roll(truth, 1, axis=2)) / 2
    assert 0.3 < detail(blurred, truth) < 0.9
    assert detail(0.5 + 1.5 * (truth - 0.5), truth) == pytest.approx(1.5)


def test_grain_in_flat_parts_is_no_detail():
    truth = texture_half()
    grainy = truth.copy()
    grainy[:, :, :8] += checkerboard(0.1)[:, :, :8]
    assert detail(grainy, truth) == pytest.approx(1)


@pytest.mark.parametrize('metric', [flat_error, detail])
def test_images_that_cannot_be_measured_are_refused(metric):
    with pytest.raises(ValueError, match='different shapes'):
        metric(gray(), gray()[:1])
    with pytest.raises(InputError, match='no window'):
        metric(gray()[:, :6], gray()[:, :6])


def test_images_that_are_flat_everywhere_have_no_detail():
    with pytest.raises(InputError, match='flat everywhere'):
        detail(gray(), gray())
