"""Frames brought to the size and the pixels of others."""

import numpy as np
import pytest

from sr_jax.film.fitting import fit
from sr_jax.film.formats import ColorDescription, FrameKind, PixelFormat, plane_sizes

COLOR = ColorDescription('bt601', 'limited', chroma='left')
KIND = FrameKind(22, 34, PixelFormat('yuv', 8, 2, 2), COLOR)
DEEP = KIND._replace(pixels=PixelFormat('yuv', 10, 1, 1, True))


@pytest.mark.parametrize(
    ('pixels', 'kind'),
    [
        (PixelFormat('yuv', 8, 2, 2), KIND),
        (PixelFormat('yuv', 10, 2, 1), KIND),
        (PixelFormat('yuv', 8, 2, 2, True), DEEP),
    ],
)
def test_a_constant_color_is_still_the_same(pixels, kind):
    values = (91, 140, 77, 201)
    sizes = plane_sizes(pixels, 37, 51)
    wide = 4 ** (pixels.depth == 10)
    planes = tuple(
        np.full(size, wide * value, np.uint8 if wide == 1 else np.uint16)
        for size, value in zip(sizes, values, strict=False)
    )
    made = fit(planes, pixels, kind)
    assert [plane.shape for plane in made] == plane_sizes(kind.pixels, 22, 34)
    again = 4 ** (kind.pixels.depth == 10)
    for plane, value in zip(made[:3], values, strict=False):
        assert (plane == again * value).all()
    if pixels.alpha:
        assert (made[3] == round(201 * 1023 / 255)).all()


def test_what_is_at_the_right_stays_there():
    luma = np.zeros((40, 50), np.uint8)
    luma[:, 30:] = 200
    chroma = np.full((20, 25), 128, np.uint8)
    made = fit((luma, chroma, chroma), PixelFormat('yuv', 8, 2, 2), KIND)[0]
    assert made.shape == (22, 34)
    assert np.diff(made[3].astype(int)).argmax() == 34 * 3 // 5 - 1
