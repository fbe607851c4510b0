import numpy as np
import pytest
from PIL import Image

from sr_jax.errors import InputError
from sr_jax.images.segments import overlay, paint, save_mask

SEGMENTS = np.array([[0, 1, 2], [255, -1, 1]])


def test_every_class_has_its_color_and_none_is_white():
    painted = paint(SEGMENTS, 3)
    assert painted.shape == (2, 3, 3) and painted.dtype == np.float32
    np.testing.assert_array_equal(painted[1, :2], 1)
    np.testing.assert_array_equal(painted[0, 1], painted[1, 2])
    assert len({tuple(color) for color in painted.reshape(-1, 3)}) == 4


def test_an_overlay_is_between_image_and_mask():
    image = np.full((2, 3, 3), 0.25, np.float32)
    drawn = overlay(image, SEGMENTS, 3)
    np.testing.assert_allclose(drawn, 0.45 * image + 0.55 * paint(SEGMENTS, 3), rtol=1e-6)


def test_a_mask_comes_back_from_its_file(tmp_path):
    segments = np.array([[0, 1, 2, 3], [3, 0, 1, 2]])
    save_mask(tmp_path / 'mask.png', segments, 4)
    with Image.open(tmp_path / 'mask.png') as image:
        assert image.mode == 'P'
        np.testing.assert_array_equal(np.asarray(image), segments)
        shown = np.asarray(image.convert('RGB')) / 255
    np.testing.assert_allclose(shown, paint(segments, 4), atol=1 / 255)
    with pytest.raises(InputError, match='256 classes at most, not 300'):
        save_mask(tmp_path / 'mask.png', segments, 300)
