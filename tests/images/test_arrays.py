"""Whatever array it is: taken rightly, or refused by a line that says what is taken."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from sr_jax.errors import InputError
from sr_jax.images.arrays import give_array, take_layers, take_pixels

shapes = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=6)
dtypes = st.one_of(hnp.scalar_dtypes(), st.just(np.dtype(jnp.bfloat16)))


@given(st.tuples(shapes, dtypes).flatmap(lambda pair: st.tuples(*map(st.just, pair))), st.data())
def test_any_array_is_taken_rightly_or_refused(pair, data):
    shape, dtype = pair
    image = np.zeros(shape, dtype)
    if dtype.kind in 'uif':
        image[...] = data.draw(st.integers(0, 1))
    good_shape = len(shape) == 2 or (len(shape) == 3 and shape[2] in (1, 2, 3, 4))
    good_shape &= 0 not in shape
    good_type = dtype in (np.uint8, np.uint16, jnp.bfloat16) or dtype.kind == 'f'
    good_type |= dtype.kind == 'u' and dtype.itemsize == 2
    if not (good_shape and good_type):
        with pytest.raises(InputError, match='uint8|height, width|empty'):
            take_layers(image)
        return
    layers = take_layers(image)
    assert layers.color.shape == (*shape[:2], 3)
    assert layers.color.dtype in (np.uint8, np.uint16, np.float32)
    again = give_array(layers, image)
    assert again.shape == shape
    np.testing.assert_array_equal(again, image.astype(layers.color.dtype))


@pytest.mark.parametrize('channels', [None, 1, 2, 3, 4])
def test_channels_are_what_they_are_called(channels):
    shape = (5, 7) if channels is None else (5, 7, channels)
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    layers = take_layers(image)
    flat = image.reshape(5, 7, -1)
    assert layers.is_gray == (channels in (None, 1, 2))
    assert (layers.alpha is not None) == (channels in (2, 4))
    np.testing.assert_array_equal(layers.color[..., 2], flat[..., 0 if layers.is_gray else 2])
    if layers.alpha is not None:
        np.testing.assert_array_equal(layers.alpha, flat[..., -1:])
    np.testing.assert_array_equal(give_array(layers, image), image)


@pytest.mark.parametrize('dtype', [np.float16, np.float64, jnp.bfloat16, '>f4'])
def test_floating_numbers_become_float32(dtype):
    image = np.array([[[0, 0.25, 1]]], dtype)
    found = take_pixels(image)
    assert found.dtype == np.float32 and found.dtype.isnative
    np.testing.assert_array_equal(found, [[[0, 0.25, 1]]])


def test_the_order_of_bytes_does_not_matter():
    found = take_pixels(np.array([[[1, 256, 65535]]], '>u2'))
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found, [[[1, 256, 65535]]])


def test_what_rounding_leaves_beyond_the_range_is_clipped():
    np.testing.assert_array_equal(take_pixels(np.array([[-5e-4, 1.0005]])), [[0, 1]])


@pytest.mark.parametrize(
    ('image', 'message'),
    [
        (np.full((2, 4, 3), 200), r'type int64 could mean anything: give uint8 .*astype\(np.uint8'),
        (np.ones((2, 4, 3), bool), 'type bool'),
        (np.full((2, 4, 3), 200.0), r'float64 from 200 to 200: .* in \[0, 1\]'),
        (np.full((2, 4, 3), -0.01, np.float32), 'float32 from -0.01 to -0.01'),
        (np.full((2, 4, 3), np.nan), 'not finite'),
        (np.full((2, 4, 3), np.inf), 'not finite'),
        (np.zeros((3, 5, 7), np.uint8), r'shape \(3, 5, 7\) is no image.*np.moveaxis'),
        (np.zeros((2, 5, 7, 3), np.uint8), 'one image of'),
        (np.zeros((0, 7, 3), np.uint8), r'shape \(0, 7, 3\) is empty'),
        ([[0, 255]], 'type int64'),
        (None, r'shape \(\) is no image'),
    ],
)
def test_what_is_refused_and_why(image, message):
    with pytest.raises(InputError, match=message):
        take_layers(image)


@pytest.mark.parametrize('mode', ['L', 'LA', 'RGB', 'RGBA', 'I;16'])
def test_images_of_pillow(mode):
    image = Image.new(mode, (7, 5))
    layers = take_layers(image)
    assert layers.color.shape == (5, 7, 3)
    np.testing.assert_array_equal(give_array(layers, image), np.asarray(image))


@pytest.mark.parametrize('mode', ['P', 'CMYK', 'YCbCr', 'HSV', '1', 'I', 'F'])
def test_images_of_pillow_whose_numbers_are_no_colours(mode):
    with pytest.raises(InputError, match=f"'{mode}': take image.convert"):
        take_layers(Image.new(mode, (7, 5)))


def test_a_transparent_colour_is_not_passed_over():
    image = Image.new('RGB', (7, 5))
    image.info['transparency'] = (0, 0, 0)
    with pytest.raises(InputError, match='convert.*RGBA'):
        take_layers(image)


class Sealed:
    """As an array of others that is not to leave its device."""

    def __array__(self, *_, **__):
        raise RuntimeError('detach it first')


@pytest.mark.parametrize(
    ('image', 'message'),
    [
        ([[2, 5], [7]], r'\(list\) makes no array of NumPy: setting an array element'),
        (Sealed(), r'\(Sealed\) makes no array of NumPy: detach it first'),
        (np.ones((5, 7), bool), r'uint8.*image \* np.uint8\(255\)'),
    ],
)
def test_what_makes_no_array_is_named(image, message):
    with pytest.raises(InputError, match=message):
        take_layers(image)
