import io

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from sr_jax.degradations.jpeg import compress, quantization_tables

COMPRESS = jax.jit(compress)


def by_pillow(pixels, quality):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, 'JPEG', quality=quality, subsampling='4:2:0')
    return file


def decode(file):
    with Image.open(file) as image:
        return np.asarray(image.convert('RGB'))


def psnr(a, b):
    return 10 * np.log10(255**2 / max(np.mean((a.astype(float) - b) ** 2), 1e-10))


def by_us(pixels, quality, on_canvas, offset=(0, 0)):
    height, width = pixels.shape[:2]
    image = on_canvas(np.float32(pixels) / 255, 100, 117)
    result = COMPRESS(image, jnp.int32(quality), jnp.asarray(offset)).pixels
    return np.asarray(result)[:height, :width] * 255


@pytest.mark.parametrize('quality', [1, 10, 30, 49, 50, 75, 95, 100])
def test_the_tables_are_libjpegs(quality):
    file = by_pillow(np.zeros((16, 16, 3), np.uint8), quality)
    with Image.open(file) as image:
        theirs = [np.reshape(image.quantization[k], (8, 8)) for k in (0, 1)]
    np.testing.assert_array_equal(quantization_tables(jnp.int32(quality)), theirs)


@pytest.mark.parametrize('size', [(96, 112), (81, 99), (17, 40), (2, 3), (1, 1)])
@pytest.mark.parametrize('quality', [30, 60, 95])
def test_images_come_back_as_from_pillow(photograph, on_canvas, size, quality):
    pixels = np.ascontiguousarray(photograph[: size[0], : size[1]])
    theirs = decode(by_pillow(pixels, quality))
    ours = by_us(pixels, quality, on_canvas)
    if pixels.size > 99:
        assert psnr(ours, theirs) > 55
        assert np.mean(np.abs(ours - theirs) > 0.5) < 0.015
    else:  # a single coefficient is all of it
        assert np.abs(ours - theirs).max() < 2.5


def test_a_flat_image_comes_back_exactly(on_canvas):
    pixels = np.full((40, 33, 3), (200, 31, 90), np.uint8)
    theirs = decode(by_pillow(pixels, 90))
    np.testing.assert_allclose(by_us(pixels, 90, on_canvas), theirs, atol=1e-4)


def test_blocks_begin_where_the_offset_says(photograph, on_canvas):
    offset = (6, 13)
    theirs = np.pad(photograph, ((6, 0), (13, 0), (0, 0)), mode='edge')
    theirs = decode(by_pillow(theirs, 40))[6:, 13:]
    assert psnr(by_us(photograph, 40, on_canvas, offset), theirs) > 55
    assert psnr(by_us(photograph, 40, on_canvas), theirs) < 42


def test_levels_are_whole(photograph, on_canvas):
    ours = by_us(photograph, 40, on_canvas)
    np.testing.assert_allclose(ours, np.round(ours), atol=1e-3)
