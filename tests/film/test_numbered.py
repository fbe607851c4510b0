"""Folders of numbered frames."""

from fractions import Fraction

import numpy as np
import pytest
from PIL import ExifTags, Image

from sr_jax.errors import InputError
from sr_jax.film import tags
from sr_jax.film.color import to_rgb
from sr_jax.film.formats import PixelFormat
from sr_jax.film.frame_files import find_frames
from sr_jax.film.numbered import NumberedFrames
from sr_jax.images.decoding import Layers
from sr_jax.images.files import read_image, save_layers


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
    with pytest.raises(InputError, match='number 3 is missing, and 1 more: add .* or number'):
        NumberedFrames(tmp_path, Fraction(25))
    (tmp_path / 'times').mkdir()
    write(tmp_path / 'times', ['20240131120000.png', '20240131120002.png', '20250131120000.png'])
    with pytest.raises(InputError, match='number 20240131120001 is missing, and 9999999997 more'):
        NumberedFrames(tmp_path / 'times', Fraction(25))
    write(tmp_path, ['3.png'])
    with pytest.raises(InputError, match='number 4 is missing: add .* or number'):
        NumberedFrames(tmp_path, Fraction(25))
    write(tmp_path, ['3.png', '4.png'], (6, 4))
    with pytest.raises(InputError, match=r'3\.png has 4x6 pixels'):
        list(NumberedFrames(tmp_path, Fraction(25)))
    with pytest.raises(InputError, match='--rate 0'):
        NumberedFrames(tmp_path, Fraction(0))


def planes_of(film):
    return [np.stack(frame.planes, -1) for frame in film]


def test_pixels_of_other_formats_become_those_that_hold_all(tmp_path):
    rng = np.random.default_rng(2)
    gray, deep = (rng.integers(0, 2**n, (5, 7, c), f'u{n // 8}') for n, c in ((8, 1), (16, 3)))
    Image.fromarray(gray[..., 0]).save(tmp_path / '1.png')
    (color,) = write(tmp_path, ['2.png'])
    film = NumberedFrames(tmp_path, Fraction(5))
    assert film.pixels == PixelFormat('rgb', 8)
    assert film.notes == (
        '1 of 2 images are stored otherwise (1.png: gray, 8 bits): all are taken as RGB, 8 bits',
    )
    for found, wanted in zip(planes_of(film), (gray.repeat(3, -1), color), strict=True):
        assert np.array_equal(found, wanted)
    save_layers(tmp_path / '3.png', Layers(deep))
    clear = rng.integers(0, 256, (5, 7, 4), np.uint8)
    Image.fromarray(clear).save(tmp_path / '4.png')
    film = NumberedFrames(tmp_path, Fraction(5))
    assert film.pixels == PixelFormat('rgb', 16, alpha=True) and not film.resized
    first, second, third, fourth = planes_of(film)
    solid = np.full((5, 7, 1), 255, np.uint16)
    assert np.array_equal(first, np.concatenate([gray.repeat(3, -1), solid], -1) * 257)
    assert np.array_equal(second[..., :3], color.astype(np.uint16) * 257)
    assert np.array_equal(third[..., :3], deep)
    assert np.array_equal(fourth, clear.astype(np.uint16) * 257)


def test_photographs_among_others_have_their_own_colors(tmp_path):
    Image.new('RGB', (8, 6), (90, 20, 30)).save(tmp_path / '1.jpg', quality=100)
    Image.new('RGB', (8, 6), (90, 20, 30)).save(tmp_path / '2.png')
    film = NumberedFrames(tmp_path, Fraction(5))
    assert film.pixels == PixelFormat('rgb', 8)
    one, other = planes_of(film)
    assert np.abs(one.astype(int) - other).max() <= 2
    film = NumberedFrames(tmp_path, Fraction(5), film._kind._replace(height=12), resize=True)
    assert [found.shape for found in planes_of(film)] == [(12, 8, 3)] * 2 and film.resized == 2


@pytest.mark.parametrize('suffix', ['png', 'jpg', 'tif', 'webp'])
@pytest.mark.parametrize('orientation', [2, 3, 5, 6, 8])
def test_images_are_turned_upright(suffix, orientation, tmp_path):
    steps = np.add.outer(np.arange(10) * 9, np.arange(16) * 3)
    image = Image.fromarray(np.stack([steps, steps[::-1], steps[:, ::-1]], -1).astype(np.uint8))
    exif = image.getexif()
    exif[ExifTags.Base.Orientation] = orientation
    path = tmp_path / f'1.{suffix}'
    image.save(path, exif=exif)
    film = NumberedFrames(tmp_path, Fraction(5))
    upright = read_image(path)
    assert (film.height, film.width) == upright.shape[:2] == ((16, 10), (10, 16))[orientation < 5]
    assert film.notes == ('1 of 1 images are turned upright, as their EXIF says',)
    (frame,) = film
    planes = tuple(plane[None] for plane in frame.planes)
    taken = tags.resolve(film.color, film.pixels, film.height)
    found = 255 * np.asarray(to_rgb(planes, film.pixels, taken))[0]
    assert np.abs(found - upright).mean() < 4
    # chroma in the middle of whole pixels stays as it is stored, WebP's lies at their left
    assert film.pixels == {
        'jpg': PixelFormat('yuv', 8, 2, 2),
        'webp': PixelFormat('yuv', 8, 1, 1),
    }.get(suffix, PixelFormat('rgb', 8))


def test_chroma_of_odd_sides_is_turned_at_full_size(tmp_path):
    image = Image.new('RGB', (15, 11), (90, 20, 30))
    exif = image.getexif()
    for number, exif[ExifTags.Base.Orientation] in enumerate((1, 3)):
        image.save(tmp_path / f'{number}.jpg', exif=exif)
    film = NumberedFrames(tmp_path, Fraction(5))
    assert (film.pixels, film.width, film.height) == (PixelFormat('yuv', 8, 1, 1), 15, 11)
    one, other = planes_of(film)
    assert one.shape == (11, 15, 3) and np.abs(one.astype(int) - other).max() <= 1


def test_images_that_lie_otherwise_have_another_size(tmp_path):
    image = Image.new('RGB', (15, 11))
    exif = image.getexif()
    for number, exif[ExifTags.Base.Orientation] in enumerate((1, 8, 3)):
        image.save(tmp_path / f'{number}.png', exif=exif)
    with pytest.raises(InputError, match=r'1\.png has 11x15 pixels, other than the first, 0\.png'):
        NumberedFrames(tmp_path, Fraction(5))
    film = NumberedFrames(tmp_path, Fraction(5), resize=True)
    assert [found.shape for found in planes_of(film)] == [(11, 15, 3)] * 3
    assert film.resized == 1 and film.notes[0].startswith('2 of 3 images are turned upright')


def test_an_image_of_pixels_that_are_not_known_is_named(tmp_path):
    Image.new('1', (7, 5)).save(tmp_path / '1.png')
    with pytest.raises(InputError, match=r'1\.png: pixels of the format monob are not known'):
        NumberedFrames(tmp_path, Fraction(5))
