"""Samples of every pixel format, moved and never changed."""

from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sr_jax.errors import InputError
from sr_jax.film import pixels
from sr_jax.film.ffmpeg import make_graph
from sr_jax.film.formats import PixelFormat

PLANAR = {
    'yuv420p': PixelFormat('yuv', 8, 2, 2),
    'yuvj422p': PixelFormat('yuv', 8, 2, 1),
    'yuv411p': PixelFormat('yuv', 8, 4, 1),
    'yuv410p': PixelFormat('yuv', 8, 4, 4),
    'yuv440p': PixelFormat('yuv', 8, 1, 2),
    'yuva444p10le': PixelFormat('yuv', 10, 1, 1, True),
    'yuv420p12be': PixelFormat('yuv', 12, 2, 2),
    'yuva422p16le': PixelFormat('yuv', 16, 2, 1, True),
    'gray': PixelFormat('gray', 8, 1, 1),
    'gray10le': PixelFormat('gray', 10, 1, 1),
    'gbrp': PixelFormat('rgb', 8),
    'gbrap16be': PixelFormat('rgb', 16, alpha=True),
}
PACKED = {
    'rgb24': PixelFormat('rgb', 8),
    'bgr24': PixelFormat('rgb', 8),
    'argb': PixelFormat('rgb', 8, alpha=True),
    'bgra': PixelFormat('rgb', 8, alpha=True),
    'bgr0': PixelFormat('rgb', 8),
    'rgb48be': PixelFormat('rgb', 16),
    'rgba64le': PixelFormat('rgb', 16, alpha=True),
    'ya8': PixelFormat('gray', 8, alpha=True),
    'ya16be': PixelFormat('gray', 16, alpha=True),
    'nv12': PixelFormat('yuv', 8, 2, 2),
    'nv21': PixelFormat('yuv', 8, 2, 2),
    'p010le': PixelFormat('yuv', 10, 2, 2),
    'p216le': PixelFormat('yuv', 16, 2, 1),
}


def random_planes(format: PixelFormat, height: int, width: int, seed: int) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    chroma = (-(-height // format.vertical), -(-width // format.horizontal))
    sizes = {'yuv': [(height, width), chroma, chroma], 'gray': [(height, width)]}
    shapes = sizes.get(format.layout, [(height, width)] * 3) + [(height, width)] * format.alpha
    kind = np.uint8 if format.depth == 8 else np.uint16
    return [random.integers(0, 2**format.depth, shape, kind) for shape in shapes]


@pytest.mark.parametrize('name', [*PLANAR, *PACKED])
def test_formats_are_described(name):
    assert pixels.describe(name) == (PLANAR | PACKED)[name]
    check_planes(name, 5, 33, 1)


@settings(max_examples=60)
@given(st.sampled_from([*PLANAR, *PACKED]), st.integers(1, 9), st.integers(1, 70), st.integers(0))
def test_planes_come_back_as_they_were(name, height, width, seed):
    check_planes(name, height, width, seed)


def check_planes(name: str, height: int, width: int, seed: int) -> None:
    """Checks that planes written into a frame are read from it."""
    format = (PLANAR | PACKED)[name]
    planes = random_planes(format, height, width, seed)
    frame = av.VideoFrame(width, height, name)
    pixels.fill(frame, tuple(planes))
    found = pixels.planes_of(frame)
    assert all(map(np.array_equal, found, planes)) and len(found) == len(planes)
    assert all(plane.flags.c_contiguous and plane.dtype.isnative for plane in found)


@pytest.mark.parametrize('name', ['rgb24', 'bgr24', 'argb', 'bgra', 'rgb48be', 'gbrp', 'gray'])
def test_channels_are_those_that_pyav_finds(name):
    frame = av.VideoFrame(6, 5, name)
    planes = random_planes((PLANAR | PACKED)[name], 5, 6, 1)
    pixels.fill(frame, tuple(planes))
    theirs = frame.to_ndarray()
    if theirs.ndim == 3:
        order = {'gbrp': 'rgb'}.get(name) or pixels.PACKED[name.removesuffix('be')]
        ours = np.stack([planes['rgba'.index(channel)] for channel in order], -1)
    else:
        ours = planes[0]
    assert np.array_equal(theirs, ours)


@pytest.mark.parametrize(
    ('name', 'order'), [('yuyv422', 'yuyv'), ('uyvy422', 'uyvy'), ('yvyu422', 'yvyu')]
)
def test_packed_chroma_is_taken_apart(name, order):
    frame = av.VideoFrame(6, 3, name)
    y, u, v = planes = random_planes(PixelFormat('yuv', 8, 2, 1), 3, 6, 2)
    rows = np.frombuffer(frame.planes[0], np.uint8).reshape(3, -1)
    lumas = iter((y[:, ::2], y[:, 1::2]))
    for place, letter in enumerate(order):
        rows[:, place:12:4] = next(lumas) if letter == 'y' else {'u': u, 'v': v}[letter]
    assert all(map(np.array_equal, pixels.planes_of(frame), planes))


def test_a_palette_is_looked_up():
    frame = av.VideoFrame(5, 3, 'pal8')
    rows = np.frombuffer(frame.planes[0], np.uint8).reshape(3, -1)
    rows[:, :5] = np.arange(15).reshape(3, 5)
    colors = np.random.default_rng(3).integers(0, 2**32, 256, np.uint32)
    frame.planes[1].update(colors.tobytes())
    expected = colors[:15].reshape(3, 5)
    for plane, shift in zip(pixels.planes_of(frame), (16, 8, 0, 24), strict=True):
        assert np.array_equal(plane, expected >> shift & 255)


@pytest.mark.parametrize('name', ['gbrpf32le', 'grayf16le', 'monow', 'rgb565le', 'xyz12le'])
def test_other_formats_are_named(name):
    with pytest.raises(InputError, match=f'format {name} are not known'):
        pixels.describe(name)


def test_pictures_that_lie_upside_down_in_memory_are_upright():
    frame = av.VideoFrame(7, 5, 'rgb24')
    frame.pts, frame.time_base = 0, Fraction(1, 25)
    planes = random_planes(PixelFormat('rgb', 8), 5, 7, 4)
    pixels.fill(frame, tuple(planes))
    graph = make_graph(frame, [('vflip', '')], Fraction(25))
    graph.push(frame)
    flipped = graph.pull()
    assert flipped.planes[0].line_size < 0
    for plane, found in zip(planes, pixels.planes_of(flipped), strict=True):
        assert np.array_equal(found, plane[::-1])


def test_names_are_found_for_what_is_planar():
    for name, format in PLANAR.items():
        expected = name.replace('yuvj', 'yuv').replace('be', 'le')
        assert pixels.planar_name(format) == expected
    with pytest.raises(InputError, match='no format'):
        pixels.planar_name(PixelFormat('yuv', 13, 4, 1))
