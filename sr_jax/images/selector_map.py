"""Which kernel each switched convolution chose, pixel by pixel, as a coloured sheet."""

import colorsys
import math
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Int
from PIL import Image, ImageDraw

from sr_jax.images.contact_sheet import repeat_pixels, sheet
from sr_jax.images.decoding import to_float, to_uint8
from sr_jax.images.padding import mirror_pad

COLUMNS = 5


MIN_WIDTH = 200  # pixels of a map, so that its title can be read


BAR = 28  # pixels


def draw(
    image: Float[np.ndarray, 'h w 3'],
    choices: Mapping[str, Int[np.ndarray, '_ _']],
    breadth: int,
) -> Float[np.ndarray, 'sheet_h sheet_w 3']:
    """Draws a sheet of the image and, for each layer, the choices in colour and the kernels' use.

    Kernel k has the same colour in every map. Below a map stands a bar for each kernel, full height
    for the most used one.

    Args:
      image: in [0, 1].
      choices: kernel of each pixel, by layer, at any whole fraction of the image's size,
        mirrored to a multiple of 64 as `mirror_pad` does.
      breadth: number of kernels.
    """
    colors = palette(breadth)
    size = image.shape[:2]
    zoom = max(1, math.ceil(MIN_WIDTH / size[1]))
    tiles = [('image', repeat_pixels(image, zoom))]
    for layer, choice in choices.items():
        used = np.bincount(choice.ravel(), minlength=breadth)
        colored = _enlarge(colors[choice], mirror_pad(image).shape, size)
        bars = _bars(used, colors, zoom * size[1])
        tiles.append((layer, np.concatenate([repeat_pixels(colored, zoom), bars])))
    return sheet(tiles, COLUMNS)


def palette(breadth: int) -> Float[np.ndarray, 'breadth 3']:
    """Colours in [0, 1]: hues evenly around the circle, of two brightnesses in turn."""
    colors = [
        colorsys.hsv_to_rgb(k / breadth, 0.75, 0.95 if k % 2 else 0.65) for k in range(breadth)
    ]
    return np.asarray(colors, np.float32)


def _enlarge(pixels: np.ndarray, padded: tuple[int, ...], size: tuple[int, int]) -> np.ndarray:
    """Repeats pixels up to the mirrored image's size, and cuts the image's part out."""
    down, across = padded[0] // pixels.shape[0], padded[1] // pixels.shape[1]
    return pixels.repeat(down, axis=0).repeat(across, axis=1)[: size[0], : size[1]]


def _bars(used: np.ndarray, colors: np.ndarray, width: int) -> Float[np.ndarray, '_ width 3']:
    """Draws a strip with a bar for each kernel."""
    strip = Image.new('RGB', (width, BAR), 'white')
    pen, step, bottom = ImageDraw.Draw(strip), width / len(used), BAR - 1
    for k, (count, color) in enumerate(zip(used, to_uint8(colors), strict=True)):
        top = bottom - (BAR - 4) * count / max(used.max(), 1)
        edges = (k * step, top, max((k + 1) * step - 1, k * step), bottom)
        pen.rectangle(edges, fill=tuple(map(int, color)))
    return to_float(np.asarray(strip))
