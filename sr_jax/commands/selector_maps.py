"""Shows which kernel each switched convolution of a trained network chose, pixel by pixel."""

import argparse
import colorsys
import math
from collections.abc import Mapping
from pathlib import Path

import jax
import numpy as np
from jaxtyping import Float, Int
from PIL import Image, ImageDraw

from sr_jax import image_io, sharding, trained
from sr_jax.commands.pictures import each_picture, expand, loaders, targets
from sr_jax.commands.reconstruct import mirrored
from sr_jax.commands.sheets import repeated, sheet
from sr_jax.errors import InputError
from sr_jax.metrics.codebook import perplexity

HELP = 'colour maps of what the selectors of switched convolutions chose'
COLUMNS = 5
LEAST_WIDTH = 200  # pixels of a map, so that its title can be read
BAR = 28  # pixels


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `python -m sr_jax selector-maps`."""
    parser.add_argument(
        'checkpoint', metavar='RUN', help='the folder of a run, or one of its checkpoints'
    )
    parser.add_argument(
        'pictures', nargs='+', metavar='PICTURE', type=Path, help='pictures, or folders of them'
    )
    parser.add_argument(
        '--output',
        type=Path,
        default=Path('selector_maps'),
        metavar='FOLDER',
        help='where the maps go, one file for each picture (default: %(default)s)',
    )
    parser.add_argument(
        '--best', action='store_true', help='take the best checkpoint instead of the newest'
    )


def run(arguments: argparse.Namespace) -> int:
    """Writes `<output>/<name>.png` for each picture, and prints the usage of the kernels.

    Returns:
      0, or 1 when a picture could not be read; the others are done all the same.

    Raises:
      InputError: no checkpoint, a network without switched convolutions, or no such picture.
    """
    paths = list(expand(arguments.pictures))
    mesh = sharding.make_mesh(jax.devices()[:1])
    model = trained.load(arguments.checkpoint, best=arguments.best, mesh=mesh)
    switching = trained.switching(model.config)
    if not switching.layers:
        raise InputError(
            f'{arguments.checkpoint} has no switched convolutions: python -m sr_jax '
            'convert-to-switched makes a network that has'
        )
    predict = sharding.jit_predict(model.task.predict, mesh)
    arguments.output.mkdir(parents=True, exist_ok=True)

    def show(picture, target):
        outputs = predict(model.variables, {'hq': mirrored(picture)[None]})
        choices = {layer: np.asarray(c[0]) for layer, c in outputs['choices'].items()}
        image_io.save(target, draw(picture, choices, switching.breadth))
        print(target)
        for layer, choice in choices.items():
            used = np.bincount(choice.ravel(), minlength=switching.breadth)
            shares = ' '.join(f'{share:6.1%}' for share in used / used.sum())
            print(f'  {layer:<28} {shares}  perplexity {np.asarray(perplexity(used)).item():.2f}')

    files = targets([path.stem for path in paths], arguments.output)
    return each_picture(loaders(paths), files, show)


def draw(
    picture: Float[np.ndarray, 'h w 3'],
    choices: Mapping[str, Int[np.ndarray, '_ _']],
    breadth: int,
) -> Float[np.ndarray, 'sheet_h sheet_w 3']:
    """A sheet of the picture and, for each layer, the choices in colour with the kernels' usage.

    Kernel k has the same colour in every map. Below a map stands a bar for each kernel, full height
    for the most used one.

    Args:
      picture: in [0, 1].
      choices: kernel of each pixel, by layer, at any whole fraction of the picture's size,
        mirrored to a multiple of 64 as `mirrored` does.
      breadth: number of kernels.
    """
    colors = palette(breadth)
    size = picture.shape[:2]
    zoom = max(1, math.ceil(LEAST_WIDTH / size[1]))
    tiles = [('picture', repeated(picture, zoom))]
    for layer, choice in choices.items():
        used = np.bincount(choice.ravel(), minlength=breadth)
        colored = _enlarged(colors[choice], mirrored(picture).shape, size)
        bars = _bars(used, colors, zoom * size[1])
        tiles.append((layer, np.concatenate([repeated(colored, zoom), bars])))
    return sheet(tiles, COLUMNS)


def palette(breadth: int) -> Float[np.ndarray, 'breadth 3']:
    """Colours in [0, 1]: hues evenly around the circle, of two brightnesses in turn."""
    colors = [
        colorsys.hsv_to_rgb(k / breadth, 0.75, 0.95 if k % 2 else 0.65) for k in range(breadth)
    ]
    return np.asarray(colors, np.float32)


def _enlarged(pixels: np.ndarray, padded: tuple[int, ...], size: tuple[int, int]) -> np.ndarray:
    """Repeats pixels up to the mirrored picture's size, and cuts the picture's part out."""
    down, across = padded[0] // pixels.shape[0], padded[1] // pixels.shape[1]
    return pixels.repeat(down, axis=0).repeat(across, axis=1)[: size[0], : size[1]]


def _bars(used: np.ndarray, colors: np.ndarray, width: int) -> Float[np.ndarray, '_ width 3']:
    """A strip with a bar for each kernel."""
    strip = Image.new('RGB', (width, BAR), 'white')
    pen, step, bottom = ImageDraw.Draw(strip), width / len(used), BAR - 1
    for k, (count, color) in enumerate(zip(used, image_io.to_uint8(colors), strict=True)):
        top = bottom - (BAR - 4) * count / max(used.max(), 1)
        edges = (k * step, top, max((k + 1) * step - 1, k * step), bottom)
        pen.rectangle(edges, fill=tuple(map(int, color)))
    return image_io.to_float(np.asarray(strip))
