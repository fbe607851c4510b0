"""Images through networks of one and of four channels."""

import jax
import numpy as np
import pytest
from tiny_networks import drawn

from sr_jax.errors import InputError
from sr_jax.images.decoding import Layers
from sr_jax.images.transparency import limit_alpha
from sr_jax.inference.layers import enlarge
from sr_jax.inference.upscaler import Upscaler

FIELDS = dict(name='rrdb', scale=2, features=5, num_blocks=1, growth=3, unshuffle=False)
COLOR = np.random.default_rng(0).random((7, 11, 3), np.float32)
ALPHA = np.random.default_rng(1).random((7, 11, 1), np.float32)


def make(given, made):
    net = drawn({**FIELDS, 'in_channels': given, 'out_channels': made})
    return net, Upscaler(net, devices=jax.devices()[:1])


def apply(net, pixels):
    return np.clip(net.module().apply(net.variables, pixels[None])[0], 0, 1)


def test_one_channel_is_given_the_luma_and_makes_a_grey_image():
    net, upscaler = make(1, 1)
    expected = apply(net, COLOR @ np.array([[0.299], [0.587], [0.114]], np.float32))
    found = upscaler(COLOR)
    assert found.shape == (14, 22, 3) and upscaler.channels == 3
    np.testing.assert_allclose(found, np.repeat(expected, 3, axis=-1), atol=1e-6)
    color, alpha = ((pixels * 255).astype(np.uint8) for pixels in (COLOR, ALPHA))
    layers = enlarge(Layers(color, alpha), upscaler, 2)
    expected = limit_alpha(apply(net, alpha.astype(np.float32) / 255) * 255, alpha)
    np.testing.assert_allclose(layers.alpha, expected, atol=0.51)


def test_four_channels_are_given_colours_and_transparency_at_once():
    net, upscaler = make(4, 4)
    pixels = (np.concatenate([COLOR, ALPHA], axis=-1) * 255).astype(np.uint8)
    expected = apply(net, pixels.astype(np.float32) / 255) * 255
    assert upscaler.channels == 4
    np.testing.assert_allclose(upscaler(pixels), expected, atol=0.51)
    layers = Layers(pixels[..., :3], pixels[..., 3:])
    found = enlarge(layers, upscaler, 2)
    np.testing.assert_allclose(found.color, expected[..., :3], atol=0.51)
    np.testing.assert_allclose(found.alpha, expected[..., 3:], atol=0.51)
    opaque = np.concatenate([pixels[..., :3], np.full_like(pixels[..., :1], 255)], axis=-1)
    np.testing.assert_array_equal(upscaler(pixels[..., :3]), upscaler(opaque)[..., :3])


@pytest.mark.parametrize(
    ('given', 'made', 'message'),
    [
        (5, 5, 'x: this network takes images of 5 channels'),
        (4, 3, 'x: this network makes 3 channels of images of 4'),
        (4, 1, 'x: this network makes 1 channels of images of 4'),
        (3, 4, 'x: this network makes 4 channels of images of 3'),
    ],
)
def test_other_channels_are_refused(given, made, message):
    with pytest.raises(InputError, match=message):
        make(given, made)[1](COLOR)


def test_a_network_is_given_images_of_its_channels():
    net = drawn({**FIELDS, 'in_channels': 1})
    with pytest.raises(InputError, match='in_channels=1 takes images of so many .*, not of 3'):
        net.module().apply(net.variables, COLOR[None])


def test_parts_of_other_doublings_are_the_whole():
    fields = {'scale': 1, 'in_channels': 1, 'out_channels': 1, 'plus': True}
    net = drawn({**FIELDS, **fields})
    tile = 2 * net.module().halo + 12
    pixels = np.repeat(np.random.default_rng(2).random((tile + 7, 9, 1), np.float32), 3, axis=-1)
    found = Upscaler(net, tile=tile, devices=jax.devices()[:1])(pixels)
    np.testing.assert_allclose(found[..., :1], apply(net, pixels[..., :1]), atol=1e-5)
