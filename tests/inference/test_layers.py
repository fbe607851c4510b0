"""Transparency through a network: composed before or after, over whatever, it looks the same."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_networks import network, repeating

from sr_jax.errors import InputError
from sr_jax.images.decoding import Layers
from sr_jax.images.resize import resize_lanczos
from sr_jax.inference.layers import enlarge
from sr_jax.inference.upscaler import Upscaler

TYPES = (np.uint8, np.uint16, np.float32)


@pytest.fixture(scope='module')
def repeat():
    upscaler = Upscaler(repeating(), devices=jax.devices()[:1])
    upscaler.prepare([(11, 13)])
    return upscaler


def draw_layers(height, width, dtype, seed, is_gray=False):
    rng = np.random.default_rng(seed)
    most = 1 if dtype == np.float32 else np.iinfo(dtype).max
    color = rng.random((height, width, 1 if is_gray else 3)) * most
    color = np.broadcast_to(color.astype(dtype), (height, width, 3))
    alpha = (np.clip(rng.normal(0.5, 0.6, (height, width, 1)), 0, 1) * most).astype(dtype)
    return Layers(color, alpha, is_gray), most


def compose(layers, background, most):
    opacity = layers.alpha / np.float32(most)
    return layers.color / np.float32(most) * opacity + background * (1 - opacity)


@settings(max_examples=30)
@given(*(st.integers(1, 9),) * 2, st.sampled_from(TYPES), st.integers(0, 9), st.booleans())
def test_repetition_and_composition_can_be_exchanged(repeat, height, width, dtype, seed, is_gray):
    layers, most = draw_layers(height, width, dtype, seed, is_gray)
    made = enlarge(layers, repeat, 2)
    assert made.color.dtype == made.alpha.dtype == dtype
    for background in (0, 1, np.array([1.0, 0.2, 0.6])):
        expected = compose(layers, background, most).repeat(2, axis=0).repeat(2, axis=1)
        np.testing.assert_allclose(compose(made, background, most), expected, atol=1e-5)


def test_any_factor_and_composition_can_be_exchanged(repeat):
    rng = np.random.default_rng(0)
    color, alpha = (0.3 + 0.4 * rng.random((7, 9, c), np.float32) for c in (3, 1))
    layers = Layers(color, alpha)  # so that nothing is clipped
    made = enlarge(layers, repeat, 2.7)
    for background in (0, 1):
        composed = compose(layers, background, 1).repeat(2, axis=0).repeat(2, axis=1)
        expected = resize_lanczos(composed.astype(np.float32), (19, 24))
        np.testing.assert_allclose(compose(made, background, 1), expected, atol=1e-5)


def test_what_is_hidden_changes_nothing():
    upscaler = Upscaler(network('srvgg'), devices=jax.devices()[:1])
    layers, _ = draw_layers(9, 10, np.uint8, 0)
    hidden = layers.alpha == 0
    assert 5 < hidden.sum() < 40
    others = [layers._replace(color=np.where(hidden, v, layers.color)) for v in (0, 255)]
    first, second = (enlarge(other, upscaler, 3.3) for other in others)
    assert first.color.shape == (30, 33, 3)
    np.testing.assert_array_equal(first.color, second.color)


def test_an_image_that_shows_all_is_what_the_network_makes_of_it():
    upscaler = Upscaler(network('srvgg'), devices=jax.devices()[:1])
    layers, _ = draw_layers(6, 7, np.uint8, 0)
    opaque = layers._replace(alpha=np.full_like(layers.alpha, 255))
    made = enlarge(opaque, upscaler, 2)
    np.testing.assert_array_equal(made.color, upscaler(layers.color))
    assert (made.alpha == 255).all()  # whatever the network makes of white


def test_an_image_that_shows_nothing_shows_nothing(repeat):
    layers, _ = draw_layers(6, 7, np.uint8, 0)
    made = enlarge(layers._replace(alpha=np.zeros_like(layers.alpha)), repeat, 1.5)
    assert made.color.shape == (9, 10, 3) and not made.alpha.any()


def test_progress_counts_colours_and_transparency(repeat):
    seen = []
    layers, _ = draw_layers(5, 7, np.uint8, 0)
    enlarge(layers, repeat, 2, lambda done, count: seen.append((done, count)))
    enlarge(layers._replace(alpha=None), repeat, 2, lambda *numbers: seen.append(numbers))
    assert seen == [(1, 2), (2, 2), (1, 1)]


def test_a_factor_that_is_none_is_told_first(repeat):
    with pytest.raises(InputError, match='--outscale'):
        enlarge(draw_layers(5, 7, np.uint8, 0)[0], repeat, -1)
