"""Images with titles, laid out on one white sheet."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageDraw, ImageFont

from sr_jax.images.decoding import to_float, to_uint8

TEXT, GAP = 16, 8  # pixels


def sheet(
    tiles: Sequence[tuple[str, Float[np.ndarray, '_ _ 3']]], columns: int
) -> Float[np.ndarray, 'h w 3']:
    """Lays images out in rows of so many, each under its title.

    Args:
      tiles: titles, and images in [0, 1]; all cells are as large as the largest needs.
      columns: in a row; there are fewer where there are fewer images.
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
        page.paste(Image.fromarray(to_uint8(pixels)), (left, top + TEXT))
    return to_float(np.asarray(page))


def repeat_pixels(pixels: Float[np.ndarray, 'h w c'], factor: int) -> Float[np.ndarray, 'h2 w2 c']:
    """Makes every pixel of an image a square of factor x factor."""
    return pixels.repeat(factor, axis=0).repeat(factor, axis=1)


def grid(
    columns: Sequence[Float[np.ndarray, 'n h w 3']], separator: int = 2
) -> Float[np.ndarray, 'grid_h grid_w 3']:
    """Lays batches side by side: row i shows image i of every batch.

    Args:
      columns: batches of one shape, in [0, 1]; for example inputs and reconstructions.
      separator: width in pixels of the white lines between the images.
    """
    images = np.stack([np.asarray(column, np.float32) for column in columns], axis=1)
    padding = ((0, 0), (0, 0), (0, separator), (0, separator), (0, 0))
    images = np.pad(images, padding, constant_values=1)
    rows, count, height, width, channels = images.shape
    sheet = images.transpose(0, 2, 1, 3, 4).reshape(rows * height, count * width, channels)
    return sheet[: sheet.shape[0] - separator, : sheet.shape[1] - separator]
