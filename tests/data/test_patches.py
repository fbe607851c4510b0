"""What is made of patches of the photographs: textures, mosaics and sprites."""

import pickle

import numpy as np
import pytest

from sr_jax.data import open_source, patches
from sr_jax.data.protocol import ClassifiedSource
from sr_jax.data.sources import mosaics, sprites
from sr_jax.errors import InputError

KINDS = ('textures', 'mosaics', 'sprites')


@pytest.mark.parametrize('kind', KINDS)
def test_an_example_is_a_function_of_its_number(kind, make_settings):
    source = open_source(kind, 'train', make_settings(crop_size=21))
    assert isinstance(source, ClassifiedSource)
    copy = pickle.loads(pickle.dumps(source))
    first, again, other = source.example(5), copy.example(5), source.example(6)
    for name, value in first.items():
        np.testing.assert_array_equal(value, again[name])
    assert first['hq'].shape == (21, 21, 3) and first['hq'].dtype == np.uint8
    assert not np.array_equal(first['hq'], other['hq'])
    validation = open_source(kind, 'validation', make_settings(crop_size=21))
    assert (len(source), len(validation)) == (4096, 1024)
    assert validation.name(3) == f'{kind}/validation[3]'
    assert not np.array_equal(first['hq'], validation.example(5)['hq'])


@pytest.mark.parametrize('kind', KINDS)
def test_larger_ones_than_the_photographs_are_refused(kind, make_settings):
    with pytest.raises(InputError, match=rf'crop_size=200: {kind} are cut .* leave \d+ pixels'):
        open_source(kind, 'train', make_settings(crop_size=200))


def test_the_parts_of_a_photograph_do_not_overlap():
    for i, name in enumerate(patches.NAMES):
        width = patches.photographs()[name].shape[1]
        both = sum(patches.strip(i, part).shape[1] for part in patches.STRIPS)
        assert 0.9 * width < both < 0.96 * width


def test_a_label_is_the_photograph(make_settings):
    source = open_source('textures', 'train', make_settings(crop_size=30))
    assert source.classes['label'][:2] == ('astronaut', 'hubble_deep_field')
    for index in (0, 13):
        example = source.example(index)
        label = index % 10
        assert example['label'] == label
        assert is_in(example['hq'], patches.strip(label, 'train'))


def is_in(patch, pixels):
    windows = np.lib.stride_tricks.sliding_window_view(pixels[..., 0], patch.shape[:2])
    return (windows[:, :, ::7, ::7] == patch[::7, ::7, 0]).all(axis=(2, 3)).any()


def test_a_mosaic_is_of_the_photographs_that_its_mask_says(make_settings):
    source = open_source('mosaics', 'validation', make_settings(crop_size=26))
    counts = set()
    for index in range(12):
        example = source.example(index)
        segments = example['segments']
        assert segments.shape == (26, 26)
        found = np.unique(segments)
        assert 0 <= found.min() and found.max() < len(source.classes['segments'])
        counts.add(len(found))
    assert counts <= {1, 2, 3, 4, 5} and len(counts) > 2


def test_a_pixel_belongs_to_the_nearest_point():
    place = mosaics.divide(9, 2, np.random.default_rng(0))
    (y0, x0), (y1, x1) = np.random.default_rng(0).random((2, 2)) * 9
    for row, column in ((0, 0), (4, 7), (8, 3)):
        first = np.hypot(row + 0.5 - y0, column + 0.5 - x0)
        second = np.hypot(row + 0.5 - y1, column + 0.5 - x1)
        assert place[row, column] == (second < first)


@pytest.mark.parametrize('name', sprites.SHAPES)
def test_a_shape_touches_the_sides_of_its_box(name):
    inside = sprites.draw_shape(name, 13)
    assert inside[0].any() and inside[-1].any() and inside[:, 0].any() and inside[:, -1].any()
    assert (name == 'square') == inside.all()


def test_boxes_are_around_the_shapes_and_apart(make_settings):
    source = open_source('sprites', 'train', make_settings(crop_size=50))
    kinds, counts = set(), set()
    for index in range(20):
        example = source.example(index)
        boxes = example['boxes']
        background = patches.patch(
            index % 10, 'train', 50, np.random.default_rng((patches.SEEDS['train'], index))
        )
        changed = (example['hq'] != background).any(axis=2)
        covered = np.zeros_like(changed)
        for top, left, bottom, right, kind in boxes.astype(int):
            assert not covered[top:bottom, left:right].any()
            covered[top:bottom, left:right] = True
            assert changed[top:bottom, left:right].mean() > 0.3
            kinds.add(int(kind))
        assert not changed[~covered].any()
        counts.add(len(boxes))
    assert kinds == {0, 1, 2, 3} and counts == {1, 2, 3, 4}
