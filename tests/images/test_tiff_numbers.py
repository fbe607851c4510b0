"""TIFFs of other numbers than levels: refused by name, with the remedy."""

import io

import numpy as np
import pytest
import tifffile

from sr_jax.images.decoding import ImageError, decode, decode_all, decode_outline


def encode(pixels, **options):
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, metadata=None, **options)
    return file.getvalue()


@pytest.mark.parametrize('big', [False, True])
@pytest.mark.parametrize('channels', [(), (3,), (4,)])
@pytest.mark.parametrize(
    'kind', ['float16', 'float32', 'float64', 'int8', 'int16', 'int32', 'uint32']
)
def test_other_numbers_than_levels_are_named(kind, channels, big):
    photometric = 'rgb' if channels else 'minisblack'
    pixels = np.ones((7, 5, *channels), kind)
    encoded = encode(pixels, photometric=photometric, bigtiff=big)
    with pytest.raises(ImageError) as error:
        decode(encoded, 'a.tif')
    message = str(error.value)
    if kind == 'uint32' and not channels:
        assert message == "a.tif: pixels of kind 'I' are not supported; save it with 8 or 16 bits"
    else:
        count = channels[0] if channels else 1
        assert message.startswith(f'a.tif: a TIFF of {count} channel(s) of {kind}, which cannot')
        assert 'uint8 or uint16' in message


def test_the_order_of_bytes_does_not_matter():
    encoded = encode(np.ones((7, 5, 3), '>f4'), photometric='rgb', byteorder='>')
    with pytest.raises(ImageError, match=r'a TIFF of 3 channel\(s\) of float32'):
        decode_outline(encoded, 'a.tif')


def test_a_page_of_such_numbers_is_named():
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(np.zeros((7, 5), np.uint16), metadata=None)
        writer.write(np.zeros((6, 3), np.int16), metadata=None)
    pages = decode_all(file.getvalue(), 'a.tif')
    assert next(pages)[0].color.shape == (7, 5, 3)
    with pytest.raises(ImageError, match=r'a TIFF of 1 channel\(s\) of int16'):
        next(pages)


@pytest.mark.parametrize('kept', [4, 8, 12, 60])
def test_a_tiff_cut_short_is_named(kept):
    with pytest.raises(ImageError, match=r'a\.tif: '):
        decode(encode(np.ones((7, 5, 3), np.float32), photometric='rgb')[:kept], 'a.tif')
