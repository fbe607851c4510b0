"""TIFFs of 16 bits whose colors lie in planes are read without loss."""

import io

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from sr_jax.images.decoding import ImageError, decode
from sr_jax.images.files import read_all, read_layers


def draw(channels, height=23, width=37, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 65536, (channels, height, width), np.uint16)


def write(planes, file=None, **options):
    file = file or io.BytesIO()
    if len(planes) == 4:
        options = {'extrasamples': ['unassalpha'], **options}
    tifffile.imwrite(file, planes, **{'photometric': 'rgb', 'planarconfig': 'separate', **options})
    return file


@given(
    channels=st.sampled_from([3, 4]),
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    compression=st.sampled_from([None, 'zlib']),
    order=st.sampled_from(['<', '>', 'big']),
    cut=st.sampled_from([{}, {'tile': (16, 32)}, {'rowsperstrip': 5}]),
    data=st.data(),
)
def test_every_bit_is_read(tmp_path_factory, channels, size, compression, order, cut, data):
    options = dict(compression=compression, bigtiff=order == 'big', **cut)
    if compression:
        options['predictor'] = data.draw(st.booleans())
    planes = draw(channels, *size)
    path = tmp_path_factory.mktemp('planes') / 'scan.tif'
    write(planes, path, byteorder=order.replace('big', '<'), **options)
    read = read_layers(path)
    assert read.color.dtype == np.uint16
    np.testing.assert_array_equal(read.color, planes[:3].transpose(1, 2, 0))
    if channels == 4:
        np.testing.assert_array_equal(read.alpha[..., 0], planes[3])
    else:
        assert read.alpha is None


def test_what_is_no_opacity_is_left_out():
    planes = draw(4)
    file = write(planes, extrasamples=['unspecified'])
    np.testing.assert_array_equal(decode(file.getvalue(), 'x'), planes[:3].transpose(1, 2, 0))


def test_of_several_pages_each_is_read(tmp_path):
    pages = [draw(3, seed=seed) for seed in (1, 2)]
    with tifffile.TiffWriter(tmp_path / 'pages.tif') as writer:
        for planes in pages:
            writer.write(planes, photometric='rgb', planarconfig='separate', compression='zlib')
    for (found, _), planes in zip(read_all(tmp_path / 'pages.tif'), pages, strict=True):
        np.testing.assert_array_equal(found.color, planes.transpose(1, 2, 0))


@pytest.mark.parametrize(
    ('channels', 'options'),
    [
        (4, {'extrasamples': ['assocalpha']}),
        (5, {'extrasamples': ['unassalpha', 'unspecified']}),
        (4, {'photometric': 'separated', 'extrasamples': []}),
        (3, {'photometric': 'cielab'}),
    ],
)
def test_others_are_refused(channels, options):
    with pytest.raises(ImageError, match=r'^scan\.tif: .*(not supported|cannot be read here)'):
        decode(write(draw(channels), **options).getvalue(), 'scan.tif')
