import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sr_jax.data.augmentation import augment
from sr_jax.data.fields import (
    BOXES,
    CLIP,
    IMAGE,
    LABEL,
    MASK,
    MAX_BOXES,
    SMALL_IMAGE,
    Crop,
    cut,
    unit_of,
)

FIELDS = {
    'hq': IMAGE,
    'lq': SMALL_IMAGE,
    'frames': CLIP,
    'mask': MASK,
    'label': LABEL,
    'boxes': BOXES,
}


def example_of(height, width, unit, seed):
    """An example whose parts all say where their pixels were: rows and columns as numbers."""
    rows, columns = np.mgrid[:height, :width]
    mask = rows * width + columns
    hq = np.stack([rows, columns, mask % 251], axis=-1).astype(np.uint16)
    boxes = np.random.default_rng(seed).integers(0, min(height, width), (5, 4))
    corners = np.concatenate(
        [np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:]) + 1], axis=1
    )
    frames = np.stack([hq, hq + 1])
    return {
        **{'hq': hq, 'lq': hq[::unit, ::unit], 'frames': frames, 'mask': mask},
        **{'label': np.int64(7), 'boxes': corners},
    }


@given(
    height=st.integers(3, 8),
    width=st.integers(3, 8),
    unit=st.integers(1, 3),
    data=st.data(),
    seed=st.integers(0, 99),
)
def test_every_part_of_an_example_is_cut_and_turned_alike(height, width, unit, data, seed):
    example = example_of(height * unit, width * unit, unit, seed)
    assert unit_of(example, FIELDS) == unit
    side = data.draw(st.integers(1, min(height, width)))
    top = unit * data.draw(st.integers(0, height - side))
    left = unit * data.draw(st.integers(0, width - side))
    size = unit * side
    crop = cut(example, FIELDS, top, left, size)
    np.testing.assert_array_equal(
        crop['hq'], example['hq'][top : top + size, left : left + size]
    )
    np.testing.assert_array_equal(crop['lq'], crop['hq'][::unit, ::unit])
    crop['lq'] = crop['hq'][unit // 2 :: unit, unit // 2 :: unit][:, :]  # centres survive turns
    turned = augment(crop, FIELDS, size, np.random.default_rng(seed), True, True)
    rows, columns = (turned['hq'][..., axis].astype(int) for axis in (0, 1))
    np.testing.assert_array_equal(turned['mask'], rows * width * unit + columns)
    np.testing.assert_array_equal(turned['frames'][0], turned['hq'])
    np.testing.assert_array_equal(turned['frames'][1], turned['hq'] + 1)
    if unit % 2:
        middle = turned['hq'][unit // 2 :: unit, unit // 2 :: unit]
        np.testing.assert_array_equal(turned['lq'], middle)
    assert turned['label'] == 7
    inside = [box for box in example['boxes'] if overlaps(box, top, left, size)]
    assert len(turned['boxes']) == len(inside)
    for box, original in zip(turned['boxes'].astype(int), inside, strict=True):
        first, second, last, end = box
        assert (first < last) and (second < end)
        covered = turned['mask'][first:last, second:end]
        low, high = np.maximum(original[:2], (top, left)), np.minimum(
            original[2:], (top + size, left + size)
        )
        expected = example['mask'][low[0] : high[0], low[1] : high[1]]
        assert sorted(covered.ravel()) == sorted(expected.ravel())


def overlaps(box, top, left, size):
    return box[0] < top + size and box[2] > top and box[1] < left + size and box[3] > left


def test_boxes_are_stacked_with_room_and_labels_as_numbers():
    boxes = [np.float32([[0, 1, 2, 3]]), np.zeros((0, 4), np.float32)]
    stacked = BOXES.finish(BOXES.collate(boxes))
    assert stacked.shape == (2, MAX_BOXES, 4)
    assert (stacked[0, 0] == [0, 1, 2, 3]).all() and (stacked[1] == -1).all()
    labels = LABEL.finish(LABEL.collate([np.int64(3), np.int64(5)]))
    assert labels.dtype == np.int32 and labels.tolist() == [3, 5]


def test_the_class_of_a_box_goes_with_it():
    plain = np.float32([[0, 1, 2, 3], [4, 5, 9, 7], [6, 0, 8, 2]])
    boxes = np.concatenate([plain, [[7], [8], [9]]], axis=1)
    crop = Crop(3, 2, 6, 10)
    for found, expected in (
        (BOXES.flip(boxes, 10), BOXES.flip(plain, 10)),
        (BOXES.rotate(boxes, 10, 3), BOXES.rotate(plain, 10, 3)),
        (BOXES.cut(boxes, crop)[:1], BOXES.cut(plain, crop)),
    ):
        np.testing.assert_array_equal(found[:, :4], expected)
    assert BOXES.flip(boxes, 10)[:, 4].tolist() == [7, 8, 9]
    assert BOXES.cut(boxes, crop)[:, 4].tolist() == [8]
    assert BOXES.collate([boxes, boxes[:0]]).shape == (2, MAX_BOXES, 5)


@pytest.mark.parametrize(('dtype', 'most'), [(np.uint8, 255), (np.uint16, 65535)])
def test_clips_and_images_become_floats_and_masks_stay_numbers(dtype, most):
    clip = CLIP.finish(CLIP.collate([np.full((2, 3, 4, 3), most, dtype)]))
    assert clip.dtype == np.float32 and (clip == 1).all() and clip.shape == (1, 2, 3, 4, 3)
    mask = MASK.finish(MASK.collate([np.full((3, 4), 9, np.uint8)]))
    assert mask.dtype == np.int32 and (mask == 9).all()
