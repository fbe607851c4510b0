import numpy as np
import pytest

from sr_jax.data.fields import MASK
from sr_jax.data.rejection import Rejections, still_unusable, usable_example
from sr_jax.data.sources.folder import open_folder
from sr_jax.errors import InputError
from sr_jax.images.decoding import ImageError


def test_an_image_smaller_than_the_crop_is_named(make_folder):
    source = open_folder(str(make_folder(1, size=(16, 12))), 'all', 0.5)
    images = usable_example(source, 0, 12)
    assert {name: pixels.shape for name, pixels in images.items()} == {'hq': (16, 12, 3)}
    message = r'000\.png: 12x16 pixels, smaller than the crop of 13x13'
    with pytest.raises(ImageError, match=message):
        usable_example(source, 0, 13)


def test_each_image_is_reported_and_counted_once():
    lines = []
    rejections = Rejections(2, lines.append)
    rejections.add({'a.png': 'damaged'})
    rejections.add({'a.png': 'damaged', 'b.png': 'too small'})
    rejections.add({})
    assert lines == ['skipped image a.png: damaged', 'skipped image b.png: too small']
    assert rejections.reasons == {'a.png': 'damaged', 'b.png': 'too small'}


def test_what_is_unusable_even_now_is_told_with_its_present_reason(make_folder):
    folder = make_folder(4, size=(16, 12))
    source = open_folder(str(folder), 'all', 0.5)
    reasons = {str(folder / f'00{number}.png'): 'damaged' for number in (1, 3)}
    assert still_unusable(source, 12, {**reasons, 'gone.png': 'damaged'}) == {}
    found = still_unusable(source, 13, {**reasons, 'gone.png': 'damaged'})
    assert list(found) == list(reasons)
    assert all(reason.startswith('12x16 pixels, smaller') for reason in found.values())


def test_of_several_examples_of_one_name_one_is_enough(make_folder):
    source = open_folder(str(make_folder(3, size=(16, 12))), 'all', 0.5)
    read = source.example
    source.name = lambda index: 'clip'
    source.example = lambda index: {'hq': read(index)['hq'][: 16 if index != 1 else 4]}
    assert list(still_unusable(source, 5, {'clip': 'damaged'})) == ['clip']


def test_one_more_than_the_limit_is_an_error_with_the_list():
    rejections = Rejections(1, lambda line: None)
    rejections.add({'a.png': 'damaged'})
    with pytest.raises(InputError, match=r'2 images.*max_rejected=1') as caught:
        rejections.add({'b.png': 'too small'})
    assert 'a.png: damaged' in str(caught.value)
    assert 'b.png: too small' in str(caught.value)


@pytest.mark.parametrize(('mask', 'fits'), [((18, 12), True), ((9, 6), True), ((17, 12), False)])
def test_a_mask_of_another_size_is_named(make_folder, mask, fits):
    source = open_folder(str(make_folder(1, size=(18, 12))), 'all', 0.5)
    example = {**source.example(0), 'segments': np.zeros(mask, np.uint8)}
    source.fields = {**source.fields, 'segments': MASK}
    source.example = lambda index: example
    if fits:
        assert usable_example(source, 0, 8) is example
    else:
        message = r'000\.png: a part of it has 12x17 pixels, another one 12x18'
        with pytest.raises(ImageError, match=message):
            usable_example(source, 0, 8)
