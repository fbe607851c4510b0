"""Images to bytes and back: nothing that a PNG can hold is lost, and the limits of the others."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from sr_jax.errors import InputError
from sr_jax.images import encoding, metadata
from sr_jax.images.decoding import (
    Layers,
    Outline,
    Timing,
    decode_all,
    decode_layers,
    decode_outline,
    decode_timing,
)
from sr_jax.images.encoding import Encoding, check, encode, encode_animation, encode_pages
from sr_jax.images.formats import WRITTEN
from sr_jax.images.metadata import Metadata

PNG, JPEG, WEBP, TIFF = (WRITTEN[suffix] for suffix in ('.png', '.jpg', '.webp', '.tif'))
LOSSLESS = Encoding(lossless=True)


def exif_of(**tags):
    exif = Image.Exif()
    for tag, value in tags.items():
        exif[int(tag.removeprefix('t'))] = value
    return exif.tobytes().removeprefix(b'Exif\0\0')


SAID = Metadata(
    icc_profile=b'a profile',
    exif=exif_of(t270='a description'),
    xmp=b'<x:xmpmeta/>',
    texts={'parameters': 'steps: 3, \u00e9', 'Comment': 'a comment'},
    resolution=(300.0, 150.0),
)


def layers(height, width, kind=np.uint8, gray=False, alpha=False):
    rng = np.random.default_rng(height * width)
    most = np.iinfo(kind).max
    color = rng.integers(0, most, (height, width, 3), kind, endpoint=True)
    if gray:
        color = color[..., :1].repeat(3, axis=-1)
    opacity = rng.integers(0, most, (height, width, 1), kind) if alpha else None
    return Layers(color, opacity, gray, SAID)


def same_pixels(found, expected):
    np.testing.assert_array_equal(found.color, expected.color)
    assert found.color.dtype == expected.color.dtype
    assert (found.alpha is None) == (expected.alpha is None)
    if expected.alpha is not None:
        np.testing.assert_array_equal(found.alpha, expected.alpha)
    assert found.is_gray == expected.is_gray


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
    same_pixels(found, given_layers)
    assert found.metadata.resolution == pytest.approx(SAID.resolution, rel=1e-3)
    assert found.metadata._replace(resolution=SAID.resolution) == SAID
    assert decode_outline(encoded, 'x').size == (height, width)


@given(
    st.integers(1, 9),
    st.integers(1, 9),
    st.sampled_from([np.uint8, np.uint16]),
    st.booleans(),
    st.booleans(),
)
def test_a_tiff_holds_every_pixel_and_what_describes_it(height, width, kind, gray, alpha):
    given_layers = layers(height, width, kind, gray, alpha)
    found = decode_layers(encode(given_layers, TIFF, 'x'), 'x')
    same_pixels(found, given_layers._replace(is_gray=gray and not alpha))
    said = found.metadata
    assert (said.icc_profile, said.xmp) == (SAID.icc_profile, SAID.xmp)
    assert said.resolution == pytest.approx(SAID.resolution, rel=1e-3)
    assert metadata.load_exif(said.exif)[270] == 'a description'
    assert encoding.left_out(given_layers, TIFF) == (
        'text (parameters, Comment) (a TIFF holds none)',
    )


def test_a_jpeg_keeps_what_it_can():
    found = decode_layers(encode(layers(7, 5), JPEG, 'x'), 'x').metadata
    assert found == SAID._replace(texts={'Comment': 'a comment'})


@pytest.mark.parametrize(
    ('form', 'how'), [(JPEG, Encoding()), (WEBP, LOSSLESS), (WRITTEN['.gif'], Encoding())]
)
def test_sixteen_bits_are_rounded_where_there_are_eight(form, how):
    given_layers = layers(16, 15, np.uint16, gray=True)
    smooth = np.linspace(0, 65535, 240).astype(np.uint16).reshape(16, 15, 1).repeat(3, axis=-1)
    found = decode_layers(encode(given_layers._replace(color=smooth), form, 'x', how), 'x')
    assert found.color.dtype == np.uint8
    assert np.abs(found.color - smooth / 257).max() <= (8 if form is JPEG else 0.5)


def test_a_jpeg_of_a_gray_image_has_one_channel():
    assert decode_layers(encode(layers(8, 7, gray=True), JPEG, 'x'), 'x').is_gray


def test_what_a_format_cannot_hold_is_an_error():
    with pytest.raises(InputError, match='x: the image has transparency'):
        encode(layers(4, 3, alpha=True), JPEG, 'x')
    with pytest.raises(InputError, match='a WEBP holds at most 16383 pixels a side, not 16384x1'):
        encode(layers(1, 16384), WEBP, 'x')
    with pytest.raises(InputError, match='not 70000x3: take PNG'):
        check(JPEG, (3, 70_000), 'x')
    with pytest.raises(InputError, match='40x30000000000: no format holds more; take a smaller'):
        check(WRITTEN['.png'], (30 * 10**9, 40), 'x')
    with pytest.raises(InputError, match=r'x: 2 pages, and a PNG holds one.* \.tif, \.tiff$'):
        encode_pages([layers(2, 3)] * 2, PNG, 'x')
    with pytest.raises(InputError, match=r'x: an animation of 2 frames.* \.png, \.webp, \.gif$'):
        encode_animation([layers(2, 3)] * 2, Timing((1, 1), 0), JPEG, 'x')


def test_quality_and_losslessness_are_heeded():
    photo = layers(48, 40)
    for suffix in ('.jpg', '.webp', '.avif'):
        form = WRITTEN[suffix]
        sizes = [len(encode(photo, form, 'x', Encoding(quality))) for quality in (20, None, 99)]
        assert sizes[0] < sizes[1] < sizes[2], suffix
    hidden = layers(6, 5, alpha=True)
    hidden.alpha[:3] = 0
    same_pixels(decode_layers(encode(hidden, WEBP, 'x', LOSSLESS), 'x'), hidden)


@pytest.mark.parametrize('quality', [None, 100])
def test_an_avif_has_no_cast(quality):
    colors = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    blocks = colors.repeat(8, axis=0).repeat(8, axis=1)
    found = decode_layers(encode(Layers(blocks), WRITTEN['.avif'], 'x', Encoding(quality)), 'x')
    assert found.alpha is None
    error = found.color.astype(float) - blocks
    assert np.abs(error.mean(axis=(0, 1))).max() < 0.2  # 0.5 to 0.8 of a level as RGB


def test_a_tiff_has_pages_of_any_size_and_thumbnails_are_none():
    pages = [layers(5, 7), layers(9, 4, np.uint16, gray=True), layers(3, 8, alpha=True)]
    encoded = encode_pages(pages, TIFF, 'x')
    assert decode_outline(encoded, 'x') == Outline((5, 7), pages=3)
    for (found, _), page in zip(decode_all(encoded, 'x'), pages, strict=True):
        same_pixels(found, page)
    file = io.BytesIO()
    with encoding.tifffile.TiffWriter(file) as writer:
        writer.write(pages[0].color)
        writer.write(pages[2].color, subfiletype=1)
    assert decode_outline(file.getvalue(), 'x').pages == 1


def played(frames, durations):
    """What is seen of an animation in each hundredth of a second: colour over black, opacity."""
    shown = []
    for frame, duration in zip(frames, durations, strict=True):
        opacity = np.ones((*frame.color.shape[:2], 1)) if frame.alpha is None else frame.alpha / 255
        image = np.concatenate([frame.color * opacity, 255 * opacity], axis=-1)
        shown += [image] * round(duration / 10)
    return np.stack(shown)


def seen(encoded):
    frames = [frame for frame, _ in decode_all(encoded, 'x')]
    return played(frames, decode_timing(encoded, 'x').durations)


@pytest.mark.parametrize('alpha', [False, True])
@pytest.mark.parametrize('suffix', ['.png', '.webp', '.gif'])
def test_an_animation_keeps_what_is_seen_when_and_how_often(suffix, alpha):
    frames = []
    for at in (0, 3, 3, 6):  # a square that moves, and rests
        color = np.zeros((8, 11, 3), np.uint8)
        color[2:5, at : at + 4] = 255, 40, 0
        opacity = np.where(color[..., :1] > 0, np.uint8(255), np.uint8(0)) if alpha else None
        frames.append(Layers(color, opacity))
    timing = Timing((30, 50, 20, 70), 3)
    encoded = encode_animation(frames, timing, WRITTEN[suffix], 'x', LOSSLESS)
    np.testing.assert_allclose(seen(encoded), played(frames, timing.durations), atol=1)
    assert decode_timing(encoded, 'x').plays == 3


@pytest.mark.parametrize('plays', [0, 1, 5])
@pytest.mark.parametrize('suffix', ['.png', '.webp', '.gif'])
def test_an_animation_is_played_as_often_as_before(suffix, plays):
    frames = [layers(2, 3), layers(2, 3)._replace(color=np.zeros((2, 3, 3), np.uint8))]
    encoded = encode_animation(frames, Timing((20, 40), plays), WRITTEN[suffix], 'x')
    assert decode_timing(encoded, 'x') == ((20, 40), plays)
