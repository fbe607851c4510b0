"""Shapes of one color pasted on patches of the embedded photographs, with a box around each."""

from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from sr_jax.config.settings import DataSettings
from sr_jax.data import patches
from sr_jax.data.fields import BOXES, IMAGE

FORM = 'sprites'
FIELDS = {'hq': IMAGE, 'boxes': BOXES}
SHAPES = ('disc', 'square', 'triangle', 'cross')
MOST = 4  # in an image; at least one
SIDES = (0.15, 0.5)  # of a shape, in sides of the image
TRIES = 20  # to find a place that is free
SHADE = 0.3  # by which the color of a shape varies, of all levels


def make(index: int, part: str, size: int, rng: np.random.Generator) -> dict[str, Any]:
    """Makes an image 'hq', uint8 [size, size, 3], and the 'boxes' of its shapes, which do not
    overlap: float32 [n, 5], top, left, bottom and right in pixels, and the number of the shape."""
    image = patches.patch(index % len(patches.NAMES), part, size, rng).copy()
    boxes: list[tuple[int, ...]] = []
    for _ in range(int(rng.integers(1, MOST + 1))):
        box = find_place(size, boxes, rng)
        if box is None:
            continue
        top, left, bottom, right = box
        kind = int(rng.integers(len(SHAPES)))
        inside = draw_shape(SHAPES[kind], bottom - top)
        color = rng.integers(0, 256, 3)
        shade = rng.uniform(-SHADE, SHADE, (*inside.shape, 1)) * 255 / 2
        pixels = np.clip(color + shade, 0, 255).astype(np.uint8)
        image[top:bottom, left:right][inside] = pixels[inside]
        boxes.append((*box, kind))
    return {'hq': image, 'boxes': np.asarray(boxes, np.float32).reshape(-1, 5)}


def find_place(
    size: int, taken: list[tuple[int, ...]], rng: np.random.Generator
) -> tuple[int, int, int, int] | None:
    """Returns a box in an image that overlaps none of others; None where none was found."""
    for _ in range(TRIES):
        side = max(3, round(rng.uniform(*SIDES) * size))
        top, left = (int(rng.integers(size - side + 1)) for _ in range(2))
        box = (top, left, top + side, left + side)
        if not any(
            box[0] < other[2] and other[0] < box[2] and box[1] < other[3] and other[1] < box[3]
            for other in taken
        ):
            return box
    return None


def draw_shape(name: str, side: int) -> Bool[np.ndarray, 'side side']:
    """Returns which pixels of a square are in a shape, which touches all four of its sides."""
    rows, columns = place(side)[:, None], place(side)[None]
    if name == 'disc':
        return rows**2 + columns**2 <= 1
    if name == 'square':
        return np.ones((side, side), bool)
    if name == 'triangle':
        return np.abs(columns) <= (rows + 1) / 2
    return (np.abs(rows) <= 1 / 3) | (np.abs(columns) <= 1 / 3)


def place(side: int) -> Float[np.ndarray, ' side']:
    """Returns where the pixels of a side are, from -1 to 1."""
    return np.linspace(-1, 1, side)


def open_part(rest: str, part: str, settings: DataSettings) -> patches.Made:
    """Opens the images of a part: see `sr_jax.data.sources`."""
    del rest
    classes = {'boxes': SHAPES}
    return patches.Made('sprites', FIELDS, part, settings.crop_size, make, classes)
