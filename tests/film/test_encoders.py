"""What encoders are told."""

from fractions import Fraction

import pytest

from sr_jax.film import encoders
from sr_jax.film.encoders import EncoderSettings, OutputVideo
from sr_jax.film.formats import ColorDescription, PixelFormat

VIDEO = OutputVideo(
    66, 38, PixelFormat('yuv', 8, 2, 2), ColorDescription(), Fraction(1, 25), Fraction(25)
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
