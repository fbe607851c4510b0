import numpy as np
import pytest
from PIL import Image

from sr_jax.data.crops import RandomCrop, collate, finish
from sr_jax.data.fields import IMAGE
from sr_jax.data.sources.folder import open_folder
from sr_jax.errors import InputError

FIELDS = {'hq': IMAGE}


def crops_of(folder, settings):
    return RandomCrop(open_folder(str(folder), 'all', 0.5), settings, FIELDS)


def test_a_crop_keeps_the_precision_of_its_image(make_settings, make_folder):
    element = crops_of(make_folder(3), make_settings())(2, np.random.default_rng(0))
    assert element['rejected'] == {}
    assert element['hq'].dtype == np.uint8
    np.testing.assert_array_equal(element['hq'], np.full((8, 8, 3), 2))


def test_a_crop_depends_on_the_image_and_the_generator_alone(make_settings, make_folder):
    settings = make_settings()
    folder = make_folder(0)
    for number in range(4):
        noise = np.random.default_rng(number).integers(0, 256, (20, 20, 3), np.uint8)
        Image.fromarray(noise).save(folder / f'{number}.png')
    (folder / '2.png').write_bytes(b'broken')
    first, second = crops_of(folder, settings), crops_of(folder, settings)
    second(2, np.random.default_rng(9))  # has met the broken one before
    for index in range(4):
        one = first(index, np.random.default_rng(7))
        two = second(index, np.random.default_rng(7))
        np.testing.assert_array_equal(one['hq'], two['hq'])
        assert one['rejected'] == two['rejected']
    assert len(one['rejected']) == 0
    assert list(first(2, np.random.default_rng(7))['rejected']) == [str(folder / '2.png')]


def test_every_good_image_may_replace_a_broken_one(make_settings, make_folder):
    folder = make_folder(4)
    (folder / '001.png').write_bytes(b'')
    crop = crops_of(folder, make_settings())
    rng = np.random.default_rng(0)
    seen = {int(crop(1, rng)['hq'][0, 0, 0]) for _ in range(60)}
    assert seen == {0, 2, 3}


def test_no_image_left_is_an_error(make_settings, make_folder):
    crop = crops_of(make_folder(2), make_settings(crop_size=13))
    with pytest.raises(InputError, match='none of the images can be used') as caught:
        crop(0, np.random.default_rng(0))
    assert '000.png' in str(caught.value)
    assert '001.png' in str(caught.value)


def test_too_many_in_one_crop_is_an_error(make_settings, make_folder):
    crop = crops_of(make_folder(6), make_settings(crop_size=13, max_rejected=2))
    with pytest.raises(InputError, match='3 images cannot be used'):
        crop(0, np.random.default_rng(0))


def test_a_batch_of_mixed_precision_is_float():
    eight = {'hq': np.full((2, 2, 3), 255, np.uint8), 'rejected': {'a': 'x'}}
    sixteen = {'hq': np.full((2, 2, 3), 65535, np.uint16), 'rejected': {'b': 'y'}}
    assert collate([eight, eight], FIELDS)['hq'].dtype == np.uint8
    batch = finish(collate([eight, sixteen], FIELDS), FIELDS)
    assert batch['hq'].dtype == np.float32
    np.testing.assert_array_equal(batch['hq'], np.ones((2, 2, 2, 3)))
    assert batch['rejected'] == {'a': 'x', 'b': 'y'}
