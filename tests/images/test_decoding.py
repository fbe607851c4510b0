import io
import struct
import threading
import warnings
import zlib

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from sr_jax.errors import InputError
from sr_jax.images import formats
from sr_jax.images.decoding import ImageError, Outline, decode, decode_outline, to_float, to_uint8


def sizes(channels):
    return st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(channels))


def pixels_of(channels, dtype=np.uint8):
    return sizes(channels).flatmap(lambda shape: hnp.arrays(dtype, shape))


def save(pixels, kind='PNG', mode=None, **options):
    image = Image.fromarray(np.squeeze(pixels, 2) if pixels.shape[2] == 1 else pixels)
    file = io.BytesIO()
    (image.convert(mode) if mode else image).save(file, kind, **options)
    return file.getvalue()


def png16(pixels, *chunks):
    """Encodes uint16 with 1 to 4 channels as PNG, which Pillow cannot; `chunks` go before IDAT."""
    height, width, channels = pixels.shape
    color_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    header = struct.pack('>IIBBBBB', width, height, 16, color_type, 0, 0, 0)
    rows = b''.join(b'\0' + row.astype('>u2').tobytes() for row in pixels)
    parts = [(b'IHDR', header), *chunks, (b'IDAT', zlib.compress(rows)), (b'IEND', b'')]
    framed = [
        struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
        for kind, data in parts
    ]
    return b'\x89PNG\r\n\x1a\n' + b''.join(framed)


def tiff(pixels, **options):
    file = io.BytesIO()
    kind = 'rgb' if pixels.ndim == 3 else 'minisblack'
    tifffile.imwrite(file, pixels, **{'photometric': kind, **options})
    return file.getvalue()


def composite(color, alpha, peak):
    opacity = alpha / peak
    return color / peak * opacity + 1 - opacity


# Plain images


@given(pixels=pixels_of(3), kind=st.sampled_from(['PNG', 'BMP', 'TIFF', 'WEBP']))
def test_rgb_is_read_as_it_was_written(pixels, kind):
    options = {'lossless': True} if kind == 'WEBP' else {}
    read = decode(save(pixels, kind, **options), 'x')
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, pixels)


@given(pixels=pixels_of(1), kind=st.sampled_from(['PNG', 'BMP', 'TIFF']))
def test_gray_is_repeated(pixels, kind):
    np.testing.assert_array_equal(decode(save(pixels, kind), 'x'), np.repeat(pixels, 3, axis=2))


@given(pixels=hnp.arrays(np.bool_, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(1))))
def test_black_and_white_is_black_and_white(pixels):
    read = decode(save(pixels), 'x')
    np.testing.assert_array_equal(read, np.repeat(pixels, 3, axis=2) * np.uint8(255))


@given(pixels=pixels_of(1), palette=hnp.arrays(np.uint8, (256, 3)))
def test_a_palette_is_expanded(pixels, palette):
    image = Image.fromarray(pixels[..., 0])
    image.putpalette(palette.tobytes())
    file = io.BytesIO()
    image.save(file, 'PNG')
    np.testing.assert_array_equal(decode(file.getvalue(), 'x'), palette[pixels[..., 0]])


def test_jpeg_is_read_in_color_gray_and_cmyk():
    smooth = np.add.outer(np.arange(24), np.arange(16)).astype(np.uint8)[..., None] * 6
    color = np.concatenate([smooth, 255 - smooth, smooth // 2], axis=2)
    for encoded, expected in [
        (save(color, 'JPEG', quality=98, subsampling=0), color),
        (save(smooth, 'JPEG', quality=98), np.repeat(smooth, 3, axis=2)),
        (save(color, 'JPEG', mode='CMYK', quality=98), color),
    ]:
        read = decode(encoded, 'x')
        assert read.shape == (24, 16, 3)
        assert np.abs(read.astype(int) - expected).max() <= 6


# Transparency


@given(pixels=pixels_of(4))
def test_transparency_is_composited_over_white(pixels):
    read = to_float(decode(save(pixels), 'x'))
    expected = composite(pixels[..., :3], pixels[..., 3:], 255)
    np.testing.assert_allclose(read, expected, atol=2e-7)
    assert read.max() <= 1


@given(pixels=pixels_of(4))
def test_an_opaque_image_keeps_its_eight_bits(pixels):
    pixels[..., 3] = 255
    read = decode(save(pixels), 'x')
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, pixels[..., :3])


@given(pixels=pixels_of(2))
def test_gray_with_transparency_is_composited(pixels):
    image = Image.merge('LA', [Image.fromarray(np.ascontiguousarray(p)) for p in pixels.T])
    file = io.BytesIO()
    image.save(file, 'PNG')
    expected = composite(pixels[..., :1], pixels[..., 1:], 255).repeat(3, axis=2)
    read = to_float(decode(file.getvalue(), 'x'))
    np.testing.assert_allclose(read, expected.swapaxes(0, 1), atol=2e-7)


@pytest.mark.parametrize('transparency', [1, bytes([255, 0, 128])])
def test_transparent_colors_of_a_palette_are_composited(transparency):
    image = Image.fromarray(np.array([[0, 1, 2]], np.uint8))
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90] + [0] * (768 - 9))
    file = io.BytesIO()
    image.save(file, 'PNG', transparency=transparency)
    read = to_float(decode(file.getvalue(), 'x'))
    np.testing.assert_allclose(read[0, 0], np.array([10, 20, 30]) / 255, atol=1e-6)
    np.testing.assert_allclose(read[0, 1], 1)
    half = 128 / 255 if isinstance(transparency, bytes) else 1
    np.testing.assert_allclose(
        read[0, 2], np.array([70, 80, 90]) / 255 * half + 1 - half, atol=1e-6
    )


# 16 bits


@given(pixels=pixels_of(3, np.uint16))
def test_sixteen_bit_rgb_is_read_without_loss(pixels):
    for encoded in [
        png16(pixels),
        tiff(pixels),
        tiff(pixels, byteorder='>'),
        tiff(pixels, compression='zlib'),
        tiff(pixels, byteorder='>', compression='zlib'),
    ]:
        read = decode(encoded, 'x')
        assert read.dtype == np.uint16
        np.testing.assert_array_equal(read, pixels)


@given(pixels=pixels_of(1, np.uint16))
def test_sixteen_bit_gray_is_read_without_loss(pixels):
    expected = np.repeat(pixels, 3, axis=2)
    for encoded in [png16(pixels), tiff(pixels[..., 0]), tiff(pixels[..., 0], byteorder='>')]:
        read = decode(encoded, 'x')
        assert read.dtype == np.uint16
        np.testing.assert_array_equal(read, expected)
    white_is_zero = tiff(pixels[..., 0], photometric='miniswhite')
    np.testing.assert_array_equal(decode(white_is_zero, 'x'), 65535 - expected)


@given(pixels=pixels_of(4, np.uint16))
def test_sixteen_bit_rgba_is_composited_without_loss(pixels):
    expected = composite(pixels[..., :3], pixels[..., 3:], 65535)
    for encoded in [png16(pixels), tiff(pixels, extrasamples=['unassalpha'])]:
        read = to_float(decode(encoded, 'x'))
        np.testing.assert_allclose(read, expected, atol=2e-7)
        assert read.max() <= 1
    pixels[..., 3] = 65535
    np.testing.assert_array_equal(decode(png16(pixels), 'x'), pixels[..., :3])


@given(pixels=pixels_of(2, np.uint16))
def test_sixteen_bit_gray_with_transparency_is_composited_without_loss(pixels):
    expected = composite(pixels[..., :1], pixels[..., 1:], 65535).repeat(3, axis=2)
    np.testing.assert_allclose(to_float(decode(png16(pixels), 'x')), expected, atol=2e-7)


@pytest.mark.parametrize('channels', [1, 3])
def test_the_transparent_color_of_a_sixteen_bit_png_becomes_white(channels):
    pixels = np.array([[[513] * channels, [514] * channels]], np.uint16)
    key = struct.pack(f'>{channels}H', *[513] * channels)
    read = to_float(decode(png16(pixels, (b'tRNS', key)), 'x'))
    np.testing.assert_allclose(read[0], [[1] * 3, [514 / 65535] * 3], rtol=1e-6)


@pytest.mark.parametrize(
    ('pixels', 'options'),
    [
        (np.zeros((4, 5), np.uint32), {'photometric': 'minisblack'}),
    ],
)
def test_what_would_lose_precision_is_refused(pixels, options):
    with pytest.raises(ImageError, match=r'^scan\.tif: .*not supported; save it'):
        decode(tiff(pixels, **options), 'scan.tif')


# Orientation


@pytest.mark.parametrize('orientation', range(1, 9))
@pytest.mark.parametrize('kind', ['JPEG', 'PNG', 'TIFF', 'TIFF16'])
def test_the_orientation_is_applied(orientation, kind):
    upright = np.zeros((16, 24, 3), np.uint8)
    upright[:8, :8], upright[:8, 16:], upright[8:, :8] = 255, 160, 80
    # How a camera held otherwise stores the scene (EXIF 2.3, tag 0x0112).
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.swapaxes(0, 1),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].swapaxes(0, 1),
        8: np.rot90(upright, -1),
    }[orientation]
    stored = np.ascontiguousarray(stored)
    if kind == 'TIFF16':
        tag = (274, 'H', 1, orientation, True)
        encoded = tiff(stored.astype(np.uint16) * 257, extratags=[tag])
    else:
        exif = Image.Exif()
        exif[0x0112] = orientation
        encoded = save(stored, kind, exif=exif)
    read = to_uint8(to_float(decode(encoded, 'x')))
    assert read.shape == upright.shape
    assert np.abs(read[4::8, 4::8].astype(int) - upright[4::8, 4::8]).max() < 8


# Kinds that Pillow reads beside these


@pytest.mark.parametrize('suffix', sorted(set(formats.SUFFIXES)))
def test_every_suffix_is_read(suffix):
    kind = formats.READ[suffix]
    pixels = np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8)
    if kind in ('PPM', 'GIF') and suffix != '.ppm':
        pixels = pixels[..., :1].repeat(3, axis=-1)
    if kind in ('JPEG', 'AVIF'):  # they lose what changes from pixel to pixel
        pixels[:] = pixels[0, 0]
    encoded = save(pixels, kind, **({'lossless': True} if kind == 'WEBP' else {}))
    read = decode(encoded, f'x{suffix}')
    assert np.abs(read.astype(int) - pixels).max() <= (4 if kind in ('JPEG', 'AVIF') else 0)
    assert decode_outline(encoded, f'x{suffix}') == Outline((6, 9))


def test_a_ppm_of_sixteen_bits_is_read_if_it_is_gray():
    gray = np.random.default_rng(0).integers(0, 65536, (3, 4, 1)).astype(np.uint16)
    read = decode(b'P5 4 3 65535 ' + gray.astype('>u2').tobytes(), 'x.pgm')
    np.testing.assert_array_equal(read, gray.repeat(3, axis=-1))
    with pytest.raises(ImageError, match=r'x\.ppm: a PPM of more than 8 bits is not supported'):
        decode(b'P6 4 1 65535 ' + gray.astype('>u2').tobytes(), 'x.ppm')


def test_the_further_images_of_a_jpeg_are_no_pages():
    file = io.BytesIO()
    images = [Image.new('RGB', (9, 6), color) for color in ('red', 'blue')]
    images[0].save(file, 'MPO', save_all=True, append_images=images[1:])
    assert decode_outline(file.getvalue(), 'x.jpg') == Outline((6, 9))


# What cannot be read


@pytest.mark.parametrize('kind', ['PNG', 'JPEG', 'WEBP', 'TIFF', 'BMP'])
@pytest.mark.parametrize('kept', [0.1, 0.5, 0.9])
def test_a_truncated_image_is_named(kind, kept):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    encoded = save(noise, kind)
    with pytest.raises(ImageError, match=r'^holiday\.x: \w+') as caught:
        decode(encoded[: int(kept * len(encoded))], 'holiday.x')
    assert isinstance(caught.value, InputError)


@pytest.mark.parametrize('encoded', [b'', b'no image', b'\x89PNG\r\n\x1a\n', b'\xff\xd8\xff'])
def test_what_is_not_an_image_is_named(encoded):
    with pytest.raises(ImageError, match=r'^x: not a PNG, JPEG, WebP, TIFF, GIF, AVIF or other'):
        decode(encoded, 'x')


@settings(max_examples=300)
@given(
    kind=st.sampled_from(['PNG', 'JPEG', 'WEBP', 'TIFF', 'BMP', 'GIF', 'AVIF', 'PNG16', 'TIFF16']),
    damage=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), min_size=1, max_size=8),
)
def test_a_damaged_image_is_read_or_named_and_never_warns(kind, damage):
    pixels = np.random.default_rng(0).integers(0, 256, (12, 10, 3), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    sixteen = pixels.astype(np.uint16)
    if kind.endswith('16'):
        encoded = bytearray(png16(sixteen) if kind == 'PNG16' else tiff(sixteen))
    else:
        options = {} if kind in ('BMP', 'GIF') else {'exif': exif}
        encoded = bytearray(save(pixels, kind, **options))
    for place, value in damage:
        encoded[int(place * len(encoded))] = value
    try:
        read = decode(bytes(encoded), 'x')
    except ImageError as error:
        named, reason = error.name, error.reason
    else:
        named, reason = 'x', 'read'
        assert read.ndim == 3
        assert read.shape[2] == 3
    assert named == 'x'
    assert reason
    assert 'Type-check' not in reason


def test_a_bomb_is_refused_before_it_is_unpacked(monkeypatch):
    encoded = save(np.zeros((30, 40, 3), np.uint8))
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 1199)
    with pytest.raises(ImageError, match='40x30 pixels are more than the limit of 1199'):
        decode(encoded, 'x')
    assert Image.MAX_IMAGE_PIXELS == 1199
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 1200)
    assert decode(encoded, 'x').shape == (30, 40, 3)
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', None)
    assert decode(encoded, 'x').shape == (30, 40, 3)


def test_threads_leave_the_limit_and_the_warnings_as_they_were():
    encoded = save(np.zeros((5, 5, 3), np.uint8))
    limit, filters = Image.MAX_IMAGE_PIXELS, list(warnings.filters)
    threads = [
        threading.Thread(target=lambda: [decode(encoded, 'x') for _ in range(50)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert limit == Image.MAX_IMAGE_PIXELS
    assert filters == list(warnings.filters)


# Conversion


def test_every_level_survives_the_way_to_float_and_back():
    levels = np.arange(256, dtype=np.uint8)
    floats = to_float(levels)
    assert floats.dtype == np.float32
    np.testing.assert_array_equal(floats, levels.astype(np.float32) / np.float32(255))
    np.testing.assert_array_equal(to_uint8(floats), levels)
    sixteen = to_float(np.arange(65536).astype(np.uint16))
    assert len(np.unique(sixteen)) == 65536
    assert (sixteen.min(), sixteen.max()) == (0, 1)
    assert to_float(floats) is floats


def test_eight_bits_are_rounded_and_clipped():
    image = np.array([-0.5, 0.49 / 255, 0.51 / 255, 1.7], np.float32)
    np.testing.assert_array_equal(to_uint8(image), [0, 0, 1, 255])


@pytest.mark.parametrize('dtype', [np.int64, np.int16, np.uint32, np.float64, bool])
def test_other_types_are_not_taken_for_fractions_of_their_largest_number(dtype):
    with pytest.raises(InputError, match='take uint8, uint16 or float32'):
        to_float(np.full((2, 5, 3), 1, dtype))


@pytest.mark.parametrize('dtype', [np.uint8, np.int64, bool])
def test_levels_are_not_taken_for_fractions(dtype):
    with pytest.raises(InputError, match='take floating numbers'):
        to_uint8(np.full((2, 5, 3), 1, dtype))


@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_values_that_are_not_finite_are_an_error(value):
    with pytest.raises(InputError, match='not finite'):
        to_uint8(np.array([0.5, value], np.float32))
