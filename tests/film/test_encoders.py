"""What encoders take, and what they are told."""

from fractions import Fraction

import av
import numpy as np
import pytest
from film_copies import LOSSLESS, like, read

from sr_jax.errors import InputError
from sr_jax.film import encoders
from sr_jax.film.encoders import EncoderSettings, OutputVideo, choose_pixels, choose_y4m
from sr_jax.film.formats import ColorDescription, PixelFormat, plane_sizes
from sr_jax.film.writer import FilmWriter

VIDEO = OutputVideo(
    34, 22, PixelFormat('yuv', 8, 2, 2), ColorDescription(), Fraction(1, 25), Fraction(25)
)


@pytest.mark.parametrize(
    ('said', 'expected'),
    [
        ('flags : fpu avx2 avx512f avx512bw', {'x264-params': 'asm=AVX2'}),
        ('flags : fpu avx2', {}),
        (None, {}),
    ],
)
def test_the_code_of_x264_for_avx512_is_left_out(said, expected, monkeypatch):
    def read(path, **_):
        if said is None:
            raise FileNotFoundError(path)
        return said

    encoders._has_avx512.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(encoders.Path, 'read_text', read)
        found = encoders.options(VIDEO, EncoderSettings(quality=20))
    encoders._has_avx512.cache_clear()
    assert found == {'crf': '20', **expected}


@pytest.mark.parametrize(
    ('changes', 'settings', 'output', 'message'),
    [
        ({'width': 35}, EncoderSettings(), 'a.mkv', 'libx264 does not take 35x22 .*even sides'),
        ({'height': 23}, EncoderSettings('libsvtav1'), 'a.mkv', 'does not take 34x23'),
        ({}, EncoderSettings('libx265'), 'a.mkv', 'libx265 does not take 34 columns'),
        ({}, EncoderSettings('mpeg1'), 'a.mkv', "codec 'mpeg1': .*take one of libx264"),
        ({}, EncoderSettings('prores_ks'), 'a.mov', 'the nearest that it takes is yuv422p10le'),
        ({}, EncoderSettings('ffv1'), 'a.mov', 'mov does not hold what ffv1 makes: take .mkv'),
        ({}, EncoderSettings('ffv1'), 'a.ts', 'mpegts does not hold what ffv1 makes'),
        ({'width': 66}, EncoderSettings('libsvtav1'), 'a.mov', 'mov does not hold what libsvtav1'),
        ({}, EncoderSettings('ffv1', quality=3), 'a.mkv', 'has no quality'),
        ({}, EncoderSettings('h264_nvenc'), 'a.mkv', 'h264_nvenc does not open here'),
        ({}, EncoderSettings(preset='hasty'), 'a.mkv', 'libx264 does not open here'),
        ({'aspect': Fraction(16, 15)}, LOSSLESS, 'a.mkv', 'pixels are 16/15 wide'),
        ({}, EncoderSettings(), 'nowhere/a.mkv', 'a.mkv cannot be written: No such file'),
    ],
)
def test_what_an_encoder_does_not_take_is_named(changes, settings, output, message, tmp_path):
    with pytest.raises(InputError, match=message) as raised:
        FilmWriter(tmp_path / output, VIDEO._replace(**changes), settings)
    assert '\n' not in str(raised.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ('codec', 'wanted', 'expected'),
    [
        ('prores_ks', PixelFormat('yuv', 8, 2, 2), PixelFormat('yuv', 10, 2, 1)),
        ('prores_ks', PixelFormat('yuv', 8, 2, 2, True), PixelFormat('yuv', 10, 1, 1, True)),
        ('libsvtav1', PixelFormat('yuv', 12, 2, 1), PixelFormat('yuv', 10, 2, 2)),
        ('libx264', PixelFormat('yuv', 10, 2, 2), PixelFormat('yuv', 10, 2, 2)),
        ('libx264', PixelFormat('rgb', 8), PixelFormat('yuv', 8, 1, 1)),
        ('libx264', PixelFormat('yuv', 8, 4, 1), PixelFormat('yuv', 8, 2, 1)),
        ('libx265', PixelFormat('gray', 9), PixelFormat('gray', 10)),
        ('ffv1', PixelFormat('rgb', 8, alpha=True), PixelFormat('rgb', 8, alpha=True)),
    ],
)
def test_the_nearest_pixels_lose_least(codec, wanted, expected):
    assert choose_pixels(codec, wanted) == expected


def test_parameters_of_ones_own_come_after_ours(film):
    video = like(read(film('hdr'))[0])
    own = EncoderSettings('libx265', 12.5, 'slow', {'x265-params': 'aq-mode=3', 'tune': 'grain'})
    found = encoders.options(video, own)
    assert found['crf'] == '12.5' and found['preset'] == 'slow' and found['tune'] == 'grain'
    words = found['x265-params'].split(':')
    assert words[-1] == 'aq-mode=3' and 'max-cll=1000,400' in words


def test_all_encoders_of_the_wheel_have_options():
    for codec in encoders.CODECS:
        assert codec in av.codec.codecs_available
        av.Codec(codec, 'w')


@pytest.mark.parametrize(
    ('wanted', 'chosen'),
    [
        (PixelFormat('rgb', 16, alpha=True), PixelFormat('yuv', 16, 1, 1)),
        (PixelFormat('yuv', 9, 1, 2), PixelFormat('yuv', 10, 1, 1)),
        (PixelFormat('yuv', 12, 2, 2, True), PixelFormat('yuv', 12, 2, 2)),
        (PixelFormat('yuv', 8, 4, 1), PixelFormat('yuv', 8, 2, 1)),
        (PixelFormat('gray', 14), PixelFormat('gray', 16)),
    ],
)
def test_raw_video_gets_pixels_that_it_holds(wanted, chosen, tmp_path):
    assert choose_y4m(wanted) == chosen
    video = VIDEO._replace(pixels=chosen)
    kind = np.uint8 if chosen.depth == 8 else np.uint16
    planes = tuple(np.full(size, 91, kind) for size in plane_sizes(chosen, 22, 34))
    with FilmWriter(tmp_path / 'o.y4m', video, EncoderSettings()) as writer:
        writer.write(planes, 0, 1)
    info, (frame,) = read(tmp_path / 'o.y4m')
    assert info.video.pixels == chosen
    assert all(np.array_equal(*each) for each in zip(frame.planes, planes, strict=True))
