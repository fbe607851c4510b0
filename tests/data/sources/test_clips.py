"""Sources of clips: made of photographs, in folders, in films; and how clips are cut."""

import numpy as np
import pytest
from film_making import Film, constant
from PIL import Image

from sr_jax.data import open_source, train_iterator, validation_batches
from sr_jax.data.sources import film, moving
from sr_jax.errors import InputError
from sr_jax.images.decoding import ImageError


def noise(height, width, seed=0):
    small = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return np.asarray(Image.fromarray(small).resize((2 * width, 2 * height), 2))


def test_a_window_moves_as_its_path_says():
    image = noise(40, 50)
    path = moving.Path((40.0, 50.0), (2.0, -3.0))
    frames = np.stack([np.asarray(frame) for frame in moving.move(image, path, 4, 20)])
    for time, (top, left) in enumerate(zip((30, 32, 34, 36), (40, 37, 34, 31), strict=True)):
        np.testing.assert_array_equal(frames[time], image[top : top + 20, left : left + 20])
    turned = moving.move(image, moving.Path((40.0, 50.0), turn=np.pi / 2), 2, 20)
    np.testing.assert_allclose(np.asarray(turned[1]), np.rot90(frames[0]), atol=1)
    beyond = moving.move(image, moving.Path((0.0, 10.0)), 1, 20)
    np.testing.assert_array_equal(np.asarray(beyond[0])[9::-1], np.asarray(beyond[0])[10:])


def test_photographs_move_in_many_ways_and_each_always_alike(make_settings):
    settings = make_settings(source='moving:photos', crop_size=24, frames=5)
    source = open_source('moving:photos', 'validation', settings)
    assert len(source) == 3 * moving.PATHS
    clips = [source.example(index)['hq'] for index in (3, 4, 3)]
    assert clips[0].shape == (5, 24, 24, 3)
    np.testing.assert_array_equal(clips[0], clips[2])
    assert (clips[0] != clips[1]).any()
    with pytest.raises(ImageError, match='smaller than clips of 999x999'):
        open_source('moving:photos', 'train', make_settings(crop_size=999, frames=2)).example(0)


def test_batches_of_clips_are_cut_and_turned_as_one(make_settings, tmp_path):
    for number in range(7):
        (tmp_path / 'scene').mkdir(exist_ok=True)
        shown = noise(12, 15) // 2 + 10 * number
        Image.fromarray(shown.astype(np.uint8)).save(tmp_path / 'scene' / f'im{number}.png')
    source = f'frames:{tmp_path}'
    settings = make_settings(
        source=source, validation_source='moving:photos', frames=3, crop_size=16
    )
    batch = next(train_iterator(settings, 6, seed=0, fields=['hq']))['hq']
    assert batch.shape == (6, 3, 16, 16, 3) and batch.dtype == np.float32
    np.testing.assert_allclose(np.diff(batch, axis=1), 10 / 255, atol=1e-6)
    first = next(validation_batches(settings, 2, fields=['hq']))
    assert first['hq'].shape == (2, 3, 16, 16, 3)


def test_folders_of_frames_are_found_at_any_depth_and_must_be_long_enough(make_settings, tmp_path):
    for name, count in (('000', 4), ('deep/0001', 5)):
        (tmp_path / name).mkdir(parents=True)
        for number in range(1, count + 1):
            image = np.full((6, 7, 3), 10 * number, np.uint8)
            Image.fromarray(image).save(tmp_path / name / f'im{number}.png')
    settings = make_settings(validation_source='photos', frames=3)
    source = open_source(f'frames:{tmp_path}', 'train', settings)
    assert len(source) == 2 + 3
    np.testing.assert_array_equal(source.example(4)['hq'][:, 0, 0, 0], [30, 40, 50])
    assert source.name(2).endswith('deep/0001/im1.png')
    too_long = make_settings(validation_source='photos', frames=5)
    with pytest.raises(InputError, match=r'000 has 4 frames, fewer than a clip of 5: lower'):
        open_source(f'frames:{tmp_path}', 'train', too_long)
    Image.fromarray(np.zeros((9, 7, 3), np.uint8)).save(tmp_path / '000' / 'im2.png')
    with pytest.raises(ImageError, match='not all of one kind'):
        open_source(f'frames:{tmp_path}', 'train', settings).example(0)
    with pytest.raises(InputError, match='no images in the folders here'):
        open_source(f'frames:{tmp_path / "none"}', 'train', settings)


def test_clips_of_films_are_what_the_film_shows(make_settings, tmp_path):
    path = tmp_path / 'film.mkv'
    write(path, 11)
    settings = make_settings(frames=3, validation_fraction=0.3)
    train, validation = (open_source(f'film:{path}', p, settings) for p in ('train', 'validation'))
    assert (len(train), len(validation)) == (2, 1)
    clip = validation.example(0)['hq']
    assert clip.shape == (3, 22, 34, 3) and clip.dtype == np.uint16
    expected = film._decode(path, film._find_clips(path, 1)[6], 3)
    np.testing.assert_array_equal(clip, expected)
    assert np.abs(np.diff(clip.astype(int), axis=0)).max() > 1000
    with pytest.raises(InputError, match='has 11 frames, fewer than a clip of 12'):
        open_source(f'film:{tmp_path}', 'train', make_settings(frames=12))
    with pytest.raises(InputError, match='set config.data.workers=0'):
        open_source(f'film:{path}', 'train', make_settings(frames=3, workers=2))
    with pytest.raises(InputError, match='one clip of 11 frames cannot be split'):
        open_source(f'film:{tmp_path}', 'train', make_settings(frames=11))


def write(path, count):
    made = Film(path, 'libx264', (34, 22), '1/1000', 25, options={'g': '4', 'crf': '5'})
    made.write(constant(count, (34, 22), 'yuv420p', made.tick, 40))
    made.close()
