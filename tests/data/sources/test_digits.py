import numpy as np
import pytest

from sr_jax.data import open_source, train_iterator
from sr_jax.data.protocol import ClassifiedSource
from sr_jax.data.sources import digits
from sr_jax.errors import InputError


def test_all_digits_are_there_and_the_parts_do_not_overlap(make_settings):
    train, validation = (
        open_source('digits', part, make_settings()) for part in ('train', 'validation')
    )
    assert (len(train), len(validation)) == (1438, 359)
    names = {source.name(i) for source in (train, validation) for i in range(len(source))}
    assert len(names) == 1797
    assert isinstance(train, ClassifiedSource) and len(train.classes['label']) == 10


def test_a_digit_is_white_on_black(make_settings):
    source = digits.Digits('all')
    zero = source.example(0)  # the first of the file
    assert (zero['hq'].shape, zero['hq'].dtype, zero['label']) == ((8, 8, 3), np.uint8, 0)
    assert zero['hq'].max() >= 239 and zero['hq'][:, 0].max() == 0
    assert [source.example(i)['label'] for i in range(10)] == list(range(10))


def test_training_can_be_on_few(make_settings):
    settings = make_settings(source='digits', max_examples=3, flips=False, rotations=False)
    iterator = train_iterator(settings, 24, 0)
    batch = next(iterator)
    iterator.close()
    assert sorted(set(batch['label'].tolist())) == [0, 1, 2]
    assert batch['label'].dtype == np.int32
    assert len({image.tobytes() for image in batch['hq']}) == 3


def test_a_file_that_is_missing_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(digits, 'find_folder', lambda *_: tmp_path)
    with pytest.raises(InputError, match=r'digits\.csv\.gz is missing; reinstall'):
        digits.read_table.__wrapped__()
