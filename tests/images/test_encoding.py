"""Images to bytes and back: nothing that a PNG can hold is lost, and the limits of the others."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from sr_jax.errors import InputError
from sr_jax.images.decoding import Layers, decode_layers, decode_size
from sr_jax.images.encoding import encode

PNG = {'format': 'PNG'}
JPEG = {'format': 'JPEG', 'quality': 95}


def layers(height, width, kind=np.uint8, gray=False, alpha=False):
    rng = np.random.default_rng(height * width)
    most = np.iinfo(kind).max
    color = rng.integers(0, most, (height, width, 3), kind, endpoint=True)
    if gray:
        color = color[..., :1].repeat(3, axis=-1)
    opacity = rng.integers(0, most, (height, width, 1), kind) if alpha else None
    exif = Image.Exif()
    exif[0x010E] = 'a description'
    return Layers(color, opacity, gray, b'a profile', exif)


@given(
    st.integers(1, 9),
    st.integers(1, 9),
    st.sampled_from([np.uint8, np.uint16]),
    st.booleans(),
    st.booleans(),
)
def test_a_png_holds_everything(height, width, kind, gray, alpha):
    given_layers = layers(height, width, kind, gray, alpha)
    encoded = encode(given_layers, PNG, 'x')
    found = decode_layers(encoded, 'x')
    np.testing.assert_array_equal(found.color, given_layers.color)
    assert found.color.dtype == kind
    assert (found.alpha is None) == (given_layers.alpha is None)
    if alpha:
        np.testing.assert_array_equal(found.alpha, given_layers.alpha)
    assert (found.is_gray, found.icc_profile) == (gray, b'a profile')
    assert dict(found.exif) == dict(given_layers.exif)
    assert decode_size(encoded, 'x') == (height, width)


@pytest.mark.parametrize('options', [JPEG, {'format': 'WEBP', 'lossless': True}])
def test_sixteen_bits_are_rounded_where_there_are_eight(options):
    given_layers = layers(8, 32, np.uint16)
    smooth = np.linspace(0, 65535, 256).astype(np.uint16).reshape(8, 32, 1).repeat(3, axis=-1)
    found = decode_layers(encode(given_layers._replace(color=smooth), options, 'x'), 'x')
    assert found.color.dtype == np.uint8
    assert np.abs(found.color - smooth / 257).max() <= (8 if options is JPEG else 0.5)
    assert found.icc_profile == b'a profile'


def test_a_jpeg_of_a_gray_image_has_one_channel():
    assert decode_layers(encode(layers(6, 9, gray=True), JPEG, 'x'), 'x').is_gray


def test_what_a_format_cannot_hold_is_an_error():
    with pytest.raises(InputError, match='x: the image has transparency'):
        encode(layers(4, 5, alpha=True), JPEG, 'x')
    with pytest.raises(InputError, match='a WEBP holds at most 16383 pixels a side, not 16384x1'):
        encode(layers(1, 16384), {'format': 'WEBP'}, 'x')
