"""Pictures with titles, laid out on one white sheet."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageDraw, ImageFont

from sr_jax import image_io

TEXT, GAP = 16, 8  # pixels


def sheet(
    tiles: Sequence[tuple[str, Float[np.ndarray, '_ _ 3']]], columns: int
) -> Float[np.ndarray, 'h w 3']:
    """The pictures in rows of so many, each under its title.

    Args:
      tiles: titles, and pictures in [0, 1]; all cells are as large as the largest needs.
      columns: in a row; there are fewer where there are fewer pictures.
    """
    columns = min(columns, len(tiles))
    height, width = (max(pixels.shape[axis] for _, pixels in tiles) for axis in (0, 1))
    cell = (height + TEXT + GAP, width + GAP)
    rows = -(-len(tiles) // columns)
    page = Image.new('RGB', (columns * cell[1] + GAP, rows * cell[0] + GAP), 'white')
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(TEXT - 5)
    for number, (title, pixels) in enumerate(tiles):
        left = GAP + number % columns * cell[1]
        top = GAP + number // columns * cell[0]
        pen.text((left, top), title, 'black', font)
        page.paste(Image.fromarray(image_io.to_uint8(pixels)), (left, top + TEXT))
    return image_io.to_float(np.asarray(page))


def repeated(pixels: Float[np.ndarray, 'h w c'], factor: int) -> Float[np.ndarray, 'h2 w2 c']:
    """The picture with every pixel as a square of factor x factor."""
    return pixels.repeat(factor, axis=0).repeat(factor, axis=1)
