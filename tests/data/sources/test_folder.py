import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sr_jax.data.sources.folder import open_folder, split_names
from sr_jax.errors import InputError
from sr_jax.images.decoding import ImageError

NAMES = st.lists(st.text(min_size=1), min_size=2, max_size=40, unique=True)


@given(names=NAMES, fraction=st.floats(0.001, 0.999))
def test_a_split_has_every_name_once_and_two_sides(names, fraction):
    train, validation = split_names(names, fraction)
    assert sorted(train + validation) == sorted(names)
    assert train
    assert validation


@given(names=NAMES, more=st.lists(st.text(min_size=1), max_size=10), fraction=st.floats(0.1, 0.9))
def test_names_keep_their_side_when_files_are_added(names, more, fraction):
    old_train, old_validation = split_names(names, fraction)
    train, validation = split_names(sorted({*names, *more}), fraction)
    # One name may have stood in for a side that would have been empty.
    assert len(set(old_train) & set(validation)) <= (len(old_train) == 1)
    assert len(set(old_validation) & set(train)) <= (len(old_validation) == 1)


def test_the_fraction_is_about_what_is_held_out():
    names = [f'holiday/{number}.jpg' for number in range(2000)]
    _, validation = split_names(names, 0.1)
    assert 150 < len(validation) < 250


def test_the_split_is_the_same_on_every_machine():
    names = [f'{number}.png' for number in range(10)]
    assert split_names(names, 0.2)[1] == ['0.png', '6.png', '7.png', '8.png']


def test_parts_of_a_folder_do_not_overlap(make_folder):
    folder = make_folder(12)
    parts = {p: open_folder(str(folder), p, 0.25) for p in ('all', 'train', 'validation')}
    names = {p: {source.name(i) for i in range(len(source))} for p, source in parts.items()}
    assert names['train'] | names['validation'] == names['all']
    assert not names['train'] & names['validation']
    assert names['all'] == {str(path) for path in folder.iterdir()}


def test_an_image_is_read_in_its_own_precision_and_as_float(make_folder):
    source = open_folder(str(make_folder(3)), 'all', 0.5)
    assert source.pixels(2).dtype == np.uint8
    assert source[2].dtype == np.float32
    assert source[2].shape == (16, 12, 3)
    np.testing.assert_allclose(source[2], 2 / 255, rtol=1e-6)


def test_pixels_do_not_travel_when_it_is_pickled(make_folder):
    source = open_folder(str(make_folder(2, size=(200, 200))), 'all', 0.5)
    source.pixels(0)
    assert len(pickle.dumps(source)) < 2000


def test_an_empty_folder_is_an_error(tmp_path):
    (tmp_path / 'notes.txt').write_text('no image')
    with pytest.raises(InputError, match=r'no images in this folder.*\.png'):
        open_folder(str(tmp_path), 'train', 0.5)


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(InputError, match=r'nowhere: no such folder'):
        open_folder(str(tmp_path / 'nowhere'), 'all', 0.5)


def test_one_image_cannot_be_split_but_can_be_used(make_folder):
    folder = str(make_folder(1))
    assert len(open_folder(folder, 'all', 0.5)) == 1
    with pytest.raises(InputError, match=r'one image.*config\.data\.validation_source'):
        open_folder(folder, 'train', 0.5)


def test_sizes_are_told_without_decoding(make_folder):
    folder = make_folder(2, size=(5, 9))
    (folder / '001.png').write_bytes(b'not an image')
    found = open_folder(str(folder), 'all', 0.5)
    assert found.size(0) == (5, 9)
    with pytest.raises(ImageError, match=r'001\.png'):
        found.size(1)
