"""Folders of numbered frames."""

from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from sr_jax.errors import InputError
from sr_jax.film.formats import PixelFormat
from sr_jax.film.numbered import NumberedFrames, find_frames


def write(folder, names, size=(5, 7)):
    images = np.random.default_rng(1).integers(0, 256, (len(names), *size, 3), np.uint8)
    for name, image in zip(names, images, strict=True):
        Image.fromarray(image).save(folder / name)
    return images


def test_images_become_frames_at_even_times(tmp_path):
    images = write(tmp_path, ['a_9.png', 'a_10.png', 'a_11.png'])
    (tmp_path / 'notes.txt').touch()
    with NumberedFrames(tmp_path, Fraction(24000, 1001)) as film:
        frames = list(film)
        assert (film.width, film.height, len(film)) == (7, 5, 3)
        assert film.pixels == PixelFormat('rgb', 8)
    assert [frame.pts for frame in frames] == [0, 1, 2]
    assert {frame.time_base for frame in frames} == {Fraction(1001, 24000)}
    for frame, image in zip(frames, images, strict=True):
        assert np.array_equal(np.stack(frame.planes, -1), image)


def test_photographs_stay_luma_and_chroma(tmp_path):
    Image.new('RGB', (7, 5), (90, 20, 30)).save(tmp_path / '1.jpg')
    film = NumberedFrames(tmp_path, Fraction(5))
    assert film.pixels == PixelFormat('yuv', 8, 2, 2)
    assert film.color.range == 'full'
    assert film.color.chroma == 'center'


def test_names_decide_where_numbers_do_not(tmp_path):
    write(tmp_path, ['b1.png', 'a1.png', 'c.png'])
    assert [path.name for path in find_frames(tmp_path)] == ['a1.png', 'b1.png', 'c.png']


def test_what_is_no_film_is_said(tmp_path):
    with pytest.raises(InputError, match='holds no images'):
        find_frames(tmp_path)
    write(tmp_path, ['1.png', '2.png', '5.png'])
    with pytest.raises(InputError, match='number 3 is missing, and 1 more'):
        NumberedFrames(tmp_path, Fraction(25))
    write(tmp_path, ['3.png', '4.png'], (6, 4))
    with pytest.raises(InputError, match=r'3\.png has 4x6 pixels'):
        list(NumberedFrames(tmp_path, Fraction(25)))
    with pytest.raises(InputError, match='--rate 0'):
        NumberedFrames(tmp_path, Fraction(0))
