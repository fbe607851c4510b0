"""What is said of an image: what cannot be read or kept costs itself alone, by name."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from sr_jax.images import encoding, metadata
from sr_jax.images.decoding import Layers, decode_layers, decode_outline
from sr_jax.images.formats import WRITTEN
from sr_jax.images.metadata import Metadata, load_exif, set_exif_size, set_xmp_size

EXIF_IFD, GPS_IFD = 0x8769, 0x8825
KINDS = {1: 'B', 2: 's', 3: 'H', 4: 'I', 5: 'II', 7: 's', 9: 'i', 10: 'ii', 12: 'd'}


def encoded(kind='PNG', size=(7, 5), **options):
    file = io.BytesIO()
    Image.new('RGB', size).save(file, kind, **options)
    return file.getvalue()


def block(*entries):
    """An EXIF block of tags, each with a type and one number or text."""
    directory, values = struct.pack('<H', len(entries)), b''
    start = 8 + 2 + 12 * len(entries) + 4
    for tag, kind, value in entries:
        letters = KINDS[kind]
        data = value if letters == 's' else struct.pack(f'<{letters}', *[value] * len(letters))
        count = len(data) if letters == 's' else 1
        inline = data.ljust(4, b'\0') if len(data) <= 4 else struct.pack('<I', start + len(values))
        values += b'' if len(data) <= 4 else data
        directory += struct.pack('<HHI', tag, kind, count) + inline
    return b'II*\0\x08\0\0\0' + directory + bytes(4) + values


@pytest.mark.parametrize('tag', [0x10E, 0x110, 0x112, 0x11A, 0x128, 0x132, 0x213, 0x8298])
@pytest.mark.parametrize('kind', KINDS)
def test_a_tag_of_any_type_costs_at_most_itself(tag, kind):
    value = b'72\0' if KINDS[kind] == 's' else 9
    said = block((0x10F, 2, b'a maker\0'), (tag, kind, value))
    found = decode_layers(encoded('JPEG', exif=b'Exif\0\0' + said), 'x')
    assert load_exif(found.metadata.exif)[0x10F] == 'a maker'
    for suffix in ('.png', '.jpg', '.webp', '.tif'):
        again = decode_layers(encoding.encode(found, WRITTEN[suffix], 'x'), 'x').metadata
        assert load_exif(again.exif)[0x10F] == 'a maker'
    assert found.color.shape == (5, 7, 3)


def chunk(kind, data):
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))


@pytest.mark.parametrize(
    ('content', 'word'),
    [
        ((b'eXIf', b"b'Exif"), 'EXIF, which cannot be read'),
        ((b'zTXt', b'workflow\0\0' + zlib.compress(b'a' * 2_000_000)), 'texts, EXIF and'),
        ((b'iTXt', b'note\0\1\0\0\0' + zlib.compress(b'a' * 2_000_000)), 'texts, EXIF and'),
    ],
)
@pytest.mark.parametrize('is_last', [False, True])
def test_what_cannot_be_read_costs_no_pixel(content, word, is_last):
    data = encoded()
    at = len(data) - 12 if is_last else 33
    found = decode_layers(data[:at] + chunk(*content) + data[at:], 'x')
    assert found.color.shape == (5, 7, 3)
    assert word in ' '.join(found.metadata.left_out)


def test_of_a_tiff_only_what_describes_it():
    data = encoded('TIFF', tiffinfo={0x10F: 'a maker', 700: b'<xmp/>'}, icc_profile=bytes(500))
    found = decode_layers(data, 'x').metadata
    assert dict(load_exif(found.exif)) == {0x10F: 'a maker'}
    assert (found.icc_profile, found.xmp, found.resolution) == (bytes(500), b'<xmp/>', None)


def test_sizes_are_said_anew():
    exif = Image.Exif()
    exif[0x10F] = 'a maker'
    exif.get_ifd(EXIF_IFD).update({0xA002: 7, 0xA003: 5})
    exif.get_ifd(GPS_IFD)[1] = 'N'
    changed = load_exif(set_exif_size(exif.tobytes().removeprefix(b'Exif\0\0'), (20, 28)))
    assert dict(changed.get_ifd(EXIF_IFD)) == {0xA002: 28, 0xA003: 20}
    assert (changed[0x10F], dict(changed.get_ifd(GPS_IFD))) == ('a maker', {1: 'N'})
    xmp = b'<a tiff:Orientation="%d" tiff:ImageWidth="%d"><exif:PixelYDimension>%d</exif>'
    assert set_xmp_size(xmp % (6, 7, 5), (20, 28)) == xmp % (1, 28, 20)


def test_the_orientation_is_applied_once_whoever_says_it():
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a tiff:Orientation="6"/></x:xmpmeta>'
    data = encoded('JPEG', xmp=xmp)
    assert decode_outline(data, 'x').size == (7, 5)
    found = decode_layers(data, 'x')
    assert found.color.shape == (7, 5, 3)
    again = encoding.encode(found, WRITTEN['.jpg'], 'x')
    assert decode_layers(again, 'x').color.shape == (7, 5, 3)
    assert b'Orientation="1"' in decode_layers(again, 'x').metadata.xmp


@pytest.mark.parametrize(
    ('kind', 'said', 'words'),
    [
        ('JPEG', Metadata(exif=block((0x10E, 2, b'a' * 70_000))), 'EXIF (a JPEG holds at most 64'),
        ('JPEG', Metadata(xmp=b'a' * 70_000), 'XMP (a JPEG holds at most 64'),
        ('JPEG', Metadata(texts={'steps': '3', 'Comment': 'c'}), 'text (steps) (a JPEG holds none'),
        ('WEBP', Metadata(resolution=(300, 150)), 'the resolution (a WEBP says none but in EXIF)'),
        ('GIF', Metadata(xmp=b'a'), 'EXIF, XMP and the colour profile (a GIF holds none)'),
    ],
)
def test_what_a_format_cannot_hold_is_named(kind, said, words):
    found = metadata.for_format(said, kind, (5, 7))
    assert len(found.left_out) == 1 and words in found.left_out[0]
    layers = Layers(np.zeros((5, 7, 3), np.uint8), metadata=said)
    form = next(form for form in WRITTEN.values() if form.name == kind)
    assert decode_outline(encoding.encode(layers, form, 'x'), 'x').size == (5, 7)
