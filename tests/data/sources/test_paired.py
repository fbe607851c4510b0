import itertools
import json
import pathlib

import numpy as np
import pytest
from PIL import Image

from sr_jax.data import train_iterator, validation_batches
from sr_jax.data.sources import training_source, validation_source
from sr_jax.data.sources.paired import open_pairs, split_folders
from sr_jax.errors import InputError


def folders_of(source):
    return tuple(pathlib.Path(part) for part in source.split(':')[1:])


def read(settings, count, state=None, batch_size=4):
    report = []
    iterator = train_iterator(settings, batch_size, 3, report.append)
    if state is not None:
        iterator.set_state(state)
    try:
        return [next(iterator) for _ in range(count)], iterator.get_state(), report
    finally:
        iterator.close()


def assert_alike(first, second):
    for one, other in zip(first, second, strict=True):
        assert one.keys() == other.keys()
        for key in one:
            np.testing.assert_array_equal(one[key], other[key])


def enlarge(lq, scale):
    return lq.repeat(scale, -3).repeat(scale, -2)


@pytest.mark.parametrize('suffix', ['', 'x2', '_x2', 'X2m'])
def test_partners_are_found_by_name(make_pairs, suffix):
    pairs = open_pairs(make_pairs(5, suffix=suffix)[len('paired:') :], 'all', 0.5, 8)
    assert (len(pairs), pairs.scale) == (5, 2)
    for index in range(5):
        images = pairs.example(index)
        np.testing.assert_array_equal(images['hq'], enlarge(images['lq'], 2))
        np.testing.assert_array_equal(pairs.pixels(index), images['hq'])
        assert pairs[index].dtype == np.float32


def test_a_name_that_ends_like_a_scale_is_its_own_partner(tmp_path):
    for folder, side in (('hq', 8), ('lq', 4)):
        (tmp_path / folder).mkdir()
        for name in ('size_x4', 'size'):
            Image.new('RGB', (side, side)).save(tmp_path / folder / f'{name}.png')
    pairs = open_pairs(f'{tmp_path / "hq"}:{tmp_path / "lq"}', 'all', 0.5, 8)
    for index in range(2):
        assert pathlib.Path(pairs.name(index)).name == pathlib.Path(pairs.lq.name(index)).name


@pytest.mark.parametrize(('scale', 'workers'), [(2, 0), (4, 0), (2, 2)])
def test_crops_are_aligned_and_turned_alike(make_settings, make_pairs, scale, workers):
    source = make_pairs(6, scale=scale)
    settings = make_settings(source=source, crop_size=4 * scale, workers=workers)
    (first, *rest), _, _ = read(settings, 5)
    assert first['hq'].shape == (4, 4 * scale, 4 * scale, 3)
    assert first['lq'].shape == (4, 4, 4, 3)
    for batch in (first, *rest):
        assert {value.dtype for value in batch.values()} == {np.dtype(np.float32)}
        np.testing.assert_array_equal(batch['hq'], enlarge(batch['lq'], scale))
    assert len(np.unique(np.concatenate([b['lq'] for b in (first, *rest)]), axis=0)) > 15


def test_workers_cache_and_restart_change_nothing(make_settings, make_pairs):
    source = make_pairs(6)
    whole, _, _ = read(make_settings(source=source), 6)
    small_cache, _, _ = read(make_settings(source=source, cache_bytes=300), 6)
    assert_alike(whole, small_cache)
    _, state, _ = read(make_settings(source=source, workers=2), 2)
    rest, _, report = read(make_settings(source=source), 4, json.loads(json.dumps(state)))
    assert_alike(whole[2:], rest)
    assert report == []


def test_true_crops_are_those_of_the_folder_alone(make_settings, make_pairs):
    """With a scale of 1 the draws are the same ones, so nothing but the partner is added."""
    source = make_pairs(6, scale=1, suffix='')
    pairs, _, _ = read(make_settings(source=source, crop_size=6), 3)
    alone, _, _ = read(make_settings(source=f'folder:{folders_of(source)[0]}', crop_size=6), 3)
    for pair, single in zip(pairs, alone, strict=True):
        np.testing.assert_array_equal(pair['hq'], single['hq'])
        np.testing.assert_array_equal(pair['lq'], single['hq'])


def test_validation_tiles_are_aligned(make_settings, make_pairs):
    source = make_pairs(5, size=(9, 7))
    settings = make_settings(source='photos', validation_source=source, crop_size=6)
    batches = list(validation_batches(settings, 4))
    for batch in batches:
        assert batch['lq'].shape == (4, 3, 3, 3)
        np.testing.assert_array_equal(batch['hq'], enlarge(batch['lq'], 2))
    assert sum(batch['mask'].sum() for batch in batches) == 5 * 6
    split = make_settings(source=source)
    train, validation = training_source(split), validation_source(split)
    assert len(train) + len(validation) == 5
    assert len(list(itertools.islice(validation_batches(split, 2), 1))) == 1


def test_a_fault_of_either_image_rejects_the_pair(make_settings, make_pairs):
    source = make_pairs(8, suffix='x2')
    hq, lq = folders_of(source)
    (hq / '002.png').write_bytes(b'broken')
    (lq / '004x2.bmp').write_bytes(b'broken')
    Image.new('RGB', (8, 9)).save(lq / '006x2.bmp')
    settings = make_settings(source=source, validation_source='photos', max_rejected=3)
    batches, state, report = read(settings, 16)
    assert len(report) == 3
    reasons = {pathlib.Path(name).name: reason for name, reason in state['rejected'].items()}
    assert 'PNG' in reasons['002.png']
    assert str(lq / '004x2.bmp') in reasons['004.png']
    assert reasons['006.png'].startswith('14x18 pixels, which is not 2 times the 8x9')
    assert '006x2.bmp' in reasons['006.png']
    for batch in batches:
        np.testing.assert_array_equal(batch['hq'], enlarge(batch['lq'], 2))
    with pytest.raises(InputError, match='max_rejected=2') as caught:
        read(make_settings(source=source, validation_source='photos', max_rejected=2), 16)
    assert '006.png' in str(caught.value)


def test_a_pair_of_another_scale_is_named_in_either_part(make_settings, make_pairs):
    """The scale is that of all pairs, so that those held out cannot have one of their own."""
    source = make_pairs(7)
    split = make_settings(source=source, max_rejected=7)
    held_out = validation_source(split)
    for index in range(len(held_out)):
        with Image.open(held_out.name(index)) as image:
            enlarged = image.resize((2 * image.width, 2 * image.height))
        enlarged.save(held_out.name(index))
    assert validation_source(split).scale == training_source(split).scale == 2
    with pytest.raises(InputError, match='which is not 2 times'):
        list(validation_batches(split, 3))


def test_images_without_partner_are_named(make_settings, make_pairs):
    source = make_pairs(9)
    hq, lq = folders_of(source)
    (hq / '000.png').unlink()
    for number in (2, 4):
        (lq / f'{number:03d}x2.bmp').unlink()
    with pytest.raises(InputError, match='do not match') as caught:
        training_source(make_settings(source=source))
    lines = str(caught.value).splitlines()[1:]
    assert lines == [
        f'  {hq / "002.png"} has no partner in {lq}',
        f'  {hq / "004.png"} has no partner in {lq}',
        f'  {lq / "000x2.bmp"} has no partner in {hq}',
    ]
    for path in (hq / 'more').iterdir():
        path.unlink()
    with pytest.raises(InputError, match='and 2 more'):
        training_source(make_settings(source=source))


def test_several_partners_are_named(make_settings, make_pairs):
    source = make_pairs(3)
    hq, lq = folders_of(source)
    Image.new('RGB', (7, 9)).save(lq / '000x4.png')
    with pytest.raises(InputError, match=r'000\.png has 2 partners: 000x2\.bmp, 000x4\.png'):
        training_source(make_settings(source=source))
    (lq / '000x4.png').unlink()
    Image.new('RGB', (14, 18)).save(hq / '000.bmp')
    with pytest.raises(InputError, match='1 images in .* have two partners'):
        training_source(make_settings(source=source))


def test_crops_must_be_a_multiple_of_the_scale(make_settings, make_pairs):
    with pytest.raises(InputError, match=r'crop_size=10 is no multiple of the 4 .* take 12'):
        training_source(make_settings(source=make_pairs(3, scale=4), crop_size=10))


def test_pairs_without_a_whole_scale_are_refused(make_settings, make_pairs):
    source = make_pairs(4)
    hq, _ = folders_of(source)
    for path in hq.rglob('*.png'):
        Image.new('RGB', (15, 18)).save(path)
    (hq / '000.png').write_bytes(b'broken')
    with pytest.raises(InputError, match='no pair has a true image a whole number of times'):
        training_source(make_settings(source=source, validation_source='photos'))


@pytest.mark.parametrize('folders', ['a', 'a:', ':b', 'a:b:c'])
def test_two_folders_are_wanted(folders, make_settings):
    with pytest.raises(InputError, match='must name two folders'):
        split_folders(folders)
    with pytest.raises(InputError, match='must name two folders'):
        training_source(make_settings(source=f'paired:{folders}'))


def test_training_and_validation_pairs_must_not_overlap(make_settings, make_pairs):
    source = make_pairs(3)
    hq, _ = folders_of(source)
    for other in (source, f'folder:{hq}'):
        with pytest.raises(InputError, match='overlap'):
            training_source(make_settings(source=source, validation_source=other))
    settings = make_settings(source=source, validation_source=make_pairs(4, name='other_'))
    assert (len(training_source(settings)), len(validation_source(settings))) == (3, 4)
