"""A short, always equal fuzz of all that reads foreign things; `make fuzz` does more of it."""

import io
import os
import pickle
import shutil
import struct
import zlib

import hypothesis
import numpy as np
import pytest
import tifffile
from fuzz import damage, seeds, targets
from fuzz.fuzzing import MIB, check
from fuzz.watch import watched
from hypothesis import HealthCheck
from PIL import Image
from tiny_networks import network

from sr_jax import __main__ as verbs
from sr_jax import image_decoding, image_io, networks
from sr_jax.errors import InputError
from sr_jax.pretrained import files, lpips, ncnn

# Examples of each target in the suite; a target that traces a network has fewer.
EXAMPLES = {
    'picture': 150,
    'arrays': 150,
    'foreign_network': 15,
    'own_network': 15,
    'ncnn_network': 100,
    'lpips_pickle': 150,
    'torch_checkpoint': 40,
    'overrides': 60,
    'checkpoint_json': 6,
}


@pytest.fixture(scope='module')
def strategies(tmp_path_factory):
    found = targets.strategies(tmp_path_factory.mktemp('seeds'))
    return {target.__name__: (target, strategy) for target, strategy in found.items()}


def test_every_target_is_in_the_suite(strategies):
    assert strategies.keys() == EXAMPLES.keys()


# What Pillow warns about is metadata; the library has it silent.
@pytest.mark.filterwarnings('ignore::UserWarning')
# When Orbax cannot read an array, what it began to read of the others is left to itself.
@pytest.mark.filterwarnings('ignore::pytest.PytestUnraisableExceptionWarning')
@pytest.mark.filterwarnings('ignore::pytest.PytestUnhandledThreadExceptionWarning')
@pytest.mark.parametrize('name', EXAMPLES)
def test_nothing_but_what_is_documented_happens(name, strategies, tmp_path):
    target, strategy = strategies[name]
    test = hypothesis.settings(
        max_examples=EXAMPLES[name], database=None, suppress_health_check=list(HealthCheck)
    )(check(target, strategy, tmp_path))
    before = targets.outcomes.total()
    test()
    assert targets.outcomes.total() - before >= EXAMPLES[name] // 2


# The watch itself


def test_the_watch_sees_memory_files_and_programs(tmp_path):
    inside, outside = tmp_path / 'in', tmp_path / 'out'
    inside.mkdir()
    with watched(inside, 64 * MIB):
        (inside / 'x').write_text('allowed')
    with pytest.raises(AssertionError, match='open'), watched(inside, 64 * MIB):
        outside.write_text('not allowed')
    with pytest.raises(AssertionError, match='os.remove'), watched(inside, 64 * MIB):
        outside.unlink()
    for name in ('in', 'out'):
        (tmp_path / name / 'sub' / 'sub').mkdir(parents=True)
    with watched(inside, 64 * MIB):
        shutil.rmtree(inside / 'sub')  # by names within open folders
    with pytest.raises(AssertionError, match="os.rmdir 'sub'"), watched(inside, 64 * MIB):
        shutil.rmtree(outside / 'sub')
    with pytest.raises(AssertionError, match='os.system'), watched(inside, 64 * MIB):
        os.system('true')
    with watched(inside, 512 * MIB):
        np.ones(80 * MIB, np.uint8)
    if os.path.exists('/proc/self/clear_refs'):
        with pytest.raises(AssertionError, match='MiB were taken'), watched(inside, 64 * MIB):
            np.ones(80 * MIB, np.uint8)


# Bombs: a few bytes that ask for much memory


def png_bomb(width, height):
    header = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(16 * MIB), 9)
    return damage.png_of([(b'IHDR', header), (b'IDAT', rows), (b'IEND', b'')])


def header_of(width, height):
    """The beginning of pictures of that size in the other formats, whose pixels are not there."""
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
def test_a_picture_that_says_it_is_huge_is_refused_by_its_size(kind, tmp_path):
    path = tmp_path / f'bomb.{kind}'
    path.write_bytes(header_of(16_383, 16_383)[kind])
    for read in (image_io.read, image_io.read_layers):
        with watched(tmp_path, 32 * MIB), pytest.raises(InputError, match='bomb') as caught:
            read(path)
        message = str(caught.value)
        assert 'more than the limit' in message or kind == 'webp', message


def test_a_tile_larger_than_its_picture_takes_no_memory(tmp_path):
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
        image_decoding.decode(bytes(data), 'x')


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
                image_decoding.decode_layers(data, 'x')
            except InputError as error:
                assert 'x: ' in str(error)


def test_a_file_too_large_for_any_picture_is_not_read(tmp_path):
    path = tmp_path / 'sparse.png'
    with open(path, 'wb') as file:
        file.truncate(2**40)
    with watched(tmp_path, 32 * MIB), pytest.raises(InputError, match=r'sparse\.png: .*GiB'):
        image_io.read(path)
    os.mkfifo(tmp_path / 'pipe.png')
    with pytest.raises(InputError, match=r'pipe\.png: not a file'):
        image_io.read(tmp_path / 'pipe.png')
    with pytest.raises(InputError, match='zero: not a file'):
        image_io.read('/dev/zero')


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
    text, weights = seeds.ncnn_pairs(tmp_path)[2]
    path = tmp_path / 'n.param'
    path.with_suffix('.bin').write_bytes(weights)
    for number in ('2147483646', '-9', '1e300', 'nan', '1,2'):
        path.write_text(text.replace(' 6=108', f' 6={number}'))
        with watched(tmp_path, 32 * MIB), pytest.raises(InputError, match=r'n\.'):
            ncnn.read_state(path, path.with_suffix('.bin'))


def test_a_pickle_made_to_fill_the_memory_is_refused(tmp_path):
    path = tmp_path / 'w.ckpt'
    many = pickle.PROTO + b'\4' + pickle.EMPTY_DICT + pickle.LONG_BINPUT + b'\xff\xff\xff\x3f.'
    huge = pickle.dumps({'x': _Call(np.ndarray, (2**31,))})
    for data in (many, huge):
        path.write_bytes(data)
        with watched(tmp_path, 32 * MIB), pytest.raises(InputError, match=r'w\.ckpt: (dam|ref)'):
            lpips.read_pickle(path)


class _Call(seeds.Runs):
    """Would call NumPy for an array of that shape."""


# Names and places


def test_no_picture_is_written_outside_of_the_output(tmp_path, capsys):
    given, output, elsewhere = (tmp_path / name for name in ('given', 'output', 'elsewhere'))
    for folder in (given, output, elsewhere):
        folder.mkdir()
    names = ['...png', '..x.png', '-rf.png', ' .png', 'a\nb.png', '%2e%2e%2fa.png', 'ä.png']
    for name in names:
        Image.new('RGB', (5, 4)).save(given / name, 'PNG')
    (elsewhere / 'kept').write_text('as it was')
    (output / 'ä.png').symlink_to(elsewhere / 'kept')  # a link in the place of a result
    partial = output / f'.ä.png.{os.getpid()}.partial'
    partial.symlink_to(elsewhere / 'kept')  # and in the place where it is written first
    weights = tmp_path / 'w.safetensors'
    networks.save(weights, network('srvgg'))
    pictures = [str(given / name) for name in names]
    with watched(output, 2**40):
        status = verbs.main(
            ['upscale', '--weights', str(weights), '--output', str(output), '--', *pictures]
        )
    assert status == 0, capsys.readouterr().err
    assert (elsewhere / 'kept').read_text() == 'as it was'
    assert len(list(elsewhere.iterdir())) == 1
    assert len(list(output.iterdir())) == len(names)
    assert not (output / 'ä.png').is_symlink()


def test_an_override_runs_no_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = "__import__('pathlib').Path('run').touch()"
    for key in ('train.steps', 'train.start_from', 'model.switching.layers', 'optimizer'):
        targets.overrides(tmp_path, ['--config=configs/vqvae.py', f'--config.{key}={code}'])
    assert not list(tmp_path.iterdir())
