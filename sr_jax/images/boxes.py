"""Boxes drawn on images."""

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageDraw, ImageFont

from sr_jax.images.decoding import to_float, to_uint8
from sr_jax.images.selector_map import palette

TEXT = 11  # pixels
ROOM = 128  # pixels a side from which on there is room for words


def draw(
    image: Float[np.ndarray, 'h w 3'],
    boxes: Float[np.ndarray, 'k 5'],
    classes: int,
    scores: Float[np.ndarray, ' k'] | None = None,
) -> Float[np.ndarray, 'h w 3']:
    """Returns an image in [0, 1] with a frame around each box, in the color of its class.

    Args:
      image: what they are on.
      boxes: top, left, bottom and right in pixels, and the class.
      classes: how many there are.
      scores: are told beside the class, where there is room.
    """
    page = Image.fromarray(to_uint8(image))
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(TEXT)
    colors = [tuple(map(int, color)) for color in to_uint8(palette(classes))]
    thick = 1 + min(image.shape[:2]) // 256
    for i, (top, left, bottom, right, kind) in enumerate(np.asarray(boxes).tolist()):
        color = colors[int(kind) % classes]
        edges = (left, top, max(right - 1, left), max(bottom - 1, top))
        pen.rectangle(edges, outline=color, width=thick)
        if scores is not None and min(image.shape[:2]) >= ROOM:
            pen.text((left + 2, top), f'{int(kind)} {scores[i]:.2f}', color, font)
    return to_float(np.asarray(page))
