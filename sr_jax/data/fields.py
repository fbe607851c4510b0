"""How each part of an example is cut, mirrored, turned and stacked.

An example is a dict, {'hq': an image, 'label': its class}, and a source says by the same keys of
which kind its values are, {'hq': IMAGE, 'label': LABEL}. A crop is a square of an example: the same
place of everything that has a place, at whichever resolution it comes.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from sr_jax.images.decoding import to_float

MAX_BOXES = 128  # of an example, when boxes are stacked


class Crop(NamedTuple):
    """A square of an example, in pixels of its largest values.

    Attributes:
      top: its first row.
      left: its first column.
      size: its side.
      whole: the side of what a factor compares with: height of the largest value.
    """

    top: int
    left: int
    size: int
    whole: int

    def at(self, height: int) -> tuple[slice, slice]:
        """Returns rows and columns of the crop in a value of another height."""
        top, left, size = (
            number * height // self.whole for number in (self.top, self.left, self.size)
        )
        return slice(top, top + size), slice(left, left + size)


class Field(NamedTuple):
    """What can be done with one key of an example; no function changes its argument.

    Attributes:
      size: (value) -> its height and width, or None: it has no place.
      cut: (value, crop) -> the part that lies in the crop.
      flip: (value of a crop, side) -> mirrored left to right; `side` as `Crop.size`.
      rotate: (value of a crop, side, turns) -> turned by so many quarters, counter-clockwise.
      collate: (values) -> one array, in their own precision, which is small to send between
        processes.
      finish: (array of `collate`) -> as networks take it.
    """

    size: Callable[[Any], tuple[int, int] | None]
    cut: Callable[[Any, Crop], Any]
    flip: Callable[[Any, int], Any]
    rotate: Callable[[Any, int, int], Any]
    collate: Callable[[Sequence[Any]], np.ndarray]
    finish: Callable[[np.ndarray], np.ndarray]


# What follows is at the top of the module, since worker processes are sent it.
def _size(axis: int, value: np.ndarray) -> tuple[int, int]:
    return value.shape[axis], value.shape[axis + 1]


def _cut(axis: int, value: np.ndarray, crop: Crop) -> np.ndarray:
    return value[(slice(None),) * axis + crop.at(value.shape[axis])]


def _flip(axis: int, value: np.ndarray, side: int) -> np.ndarray:
    del side
    return np.flip(value, axis + 1)


def _rotate(axis: int, value: np.ndarray, side: int, turns: int) -> np.ndarray:
    del side
    return np.rot90(value, turns, (axis, axis + 1))


def _collate_images(values: Sequence[np.ndarray]) -> np.ndarray:
    mixed = len({value.dtype for value in values}) > 1
    return np.stack([to_float(value) for value in values] if mixed else values)


def _to_int(value: np.ndarray) -> np.ndarray:
    return np.asarray(value, np.int32)


def _make_spatial(axis: int, collate: Callable, finish: Callable) -> Field:
    """Makes a field of arrays whose rows are an axis, and columns the next one."""
    return Field(
        functools.partial(_size, axis),
        functools.partial(_cut, axis),
        functools.partial(_flip, axis),
        functools.partial(_rotate, axis),
        collate,
        finish,
    )


def _no_size(value: Any) -> None:
    del value


def _keep(value: Any, *_: Any) -> Any:
    return value


def _cut_boxes(boxes: np.ndarray, crop: Crop) -> np.ndarray:
    corners, rest = _split_boxes(boxes)
    corners = np.clip(corners - np.asarray([crop.top, crop.left] * 2, np.float32), 0, crop.size)
    height, width = (corners[:, 2 + axis] - corners[:, axis] for axis in (0, 1))
    return np.concatenate([corners, rest], axis=1)[(height > 0) & (width > 0)]


def _flip_boxes(boxes: np.ndarray, side: int) -> np.ndarray:
    corners, rest = _split_boxes(boxes)
    top, left, bottom, right = corners.T
    turned = np.stack([top, side - right, bottom, side - left], axis=1)
    return np.concatenate([turned, rest], axis=1)


def _rotate_boxes(boxes: np.ndarray, side: int, turns: int) -> np.ndarray:
    corners, rest = _split_boxes(boxes)
    for _ in range(turns % 4):  # a quarter counter-clockwise: columns become rows from below
        top, left, bottom, right = corners.T
        corners = np.stack([side - right, top, side - left, bottom], axis=1)
    return np.concatenate([corners, rest], axis=1)


def _split_boxes(boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    boxes = np.asarray(boxes, np.float32)
    return boxes[:, :4], boxes[:, 4:]


def _collate_boxes(values: Sequence[np.ndarray]) -> np.ndarray:
    stacked = np.full((len(values), MAX_BOXES, np.shape(values[0])[1]), -1, np.float32)
    for i, boxes in enumerate(values):
        stacked[i, : len(boxes)] = boxes[:MAX_BOXES]
    return stacked


# [h, w, 3], uint8, uint16, or float in [0, 1]; becomes float32.
IMAGE = _make_spatial(0, _collate_images, to_float)
# The same at a lower resolution, a whole number of times as small.
SMALL_IMAGE = IMAGE
# Frames, [t, h, w, 3].
CLIP = _make_spatial(1, _collate_images, to_float)
# A class for each pixel, [h, w].
MASK = _make_spatial(0, np.stack, _to_int)
# A class of the whole example.
LABEL = Field(_no_size, _keep, _keep, _keep, np.stack, _to_int)
# A map of codes, [h, w]; to cut or turn it would not give the codes of the image cut or turned.
CODES = LABEL
# Top, left, bottom and right of each box, [n, 4], in pixels of the image, and in a fifth column its
# class where there are classes; those that a crop leaves nothing of are gone. Stacked to
# [examples, MAX_BOXES, 4 or 5], with -1 where there is none.
BOXES = Field(_no_size, _cut_boxes, _flip_boxes, _rotate_boxes, _collate_boxes, np.asarray)

Example = Mapping[str, Any]
Fields = Mapping[str, Field]


def sizes_of(example: Example, fields: Fields) -> list[tuple[int, int]]:
    """Returns height and width of every value that has a place."""
    sizes = (field.size(example[name]) for name, field in fields.items())
    return [size for size in sizes if size is not None]


def largest_size(example: Example, fields: Fields) -> tuple[int, int] | None:
    """Returns height and width of the largest value of an example, None where none has a place."""
    return max(sizes_of(example, fields), default=None)


def unit_of(example: Example, fields: Fields) -> int:
    """Returns how many pixels of the largest value make one of the smallest: crops begin and end at
    multiples of it."""
    heights = [height for height, _ in sizes_of(example, fields)]
    return max(heights) // min(heights)


def cut(example: Example, fields: Fields, top: int, left: int, size: int) -> dict[str, Any]:
    """Returns a square of an example; arrays are views.

    Args:
      example: by key.
      fields: of its keys.
      top: where it begins, in pixels of the largest value, a multiple of the unit.
      left: likewise.
      size: its side, likewise.
    """
    crop = Crop(top, left, size, max(sizes_of(example, fields))[0])
    return {name: field.cut(example[name], crop) for name, field in fields.items()}
