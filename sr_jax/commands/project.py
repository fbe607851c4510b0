"""Finds the image of a generator (StyleGAN2) that comes nearest to a given one.

  python -m sr_jax project face.png --weights runs/stylegan2 --output projected/

Writes `projected.png`, `compared.png` (the given image, what was found, and what the mean style
makes) and `latents.npz`: the style and the maps of noise. By default the distance is LPIPS by
VGG16's features, whose weights come from the package index, plus that of the pixels.
"""

import argparse
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from sr_jax.commands.shared import results
from sr_jax.images.atomic import whole_file
from sr_jax.images.contact_sheet import sheet
from sr_jax.images.files import load_image, save_image
from sr_jax.images.finite import clip_finite
from sr_jax.images.resize import imresize
from sr_jax.inference import networks
from sr_jax.inference.projection import (
    Distance,
    Projected,
    ProjectionSettings,
    pixel_distance,
    project,
)
from sr_jax.inference.style_images import StyleImages
from sr_jax.metrics import lpips

IMAGE, COMPARED, LATENTS = 'projected.png', 'compared.png', 'latents.npz'
DISTANCES = ('lpips', 'pixels')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `sr-jax project`."""
    parser.add_argument('image', type=Path, metavar='IMAGE', help='what is looked for')
    parser.add_argument(
        '--weights',
        required=True,
        metavar='RUN',
        help='the generator: a run, or a file of weights',
    )
    results.add_arguments(parser, 'projected', 'the folder where the results go')
    parser.add_argument(
        '--steps', type=int, default=1000, help='of the search (default: %(default)s)'
    )
    parser.add_argument('--seed', type=int, default=0, help='of the search (default: 0)')
    parser.add_argument(
        '--distance',
        choices=DISTANCES,
        default='lpips',
        help='lpips and pixels, or pixels alone (default: %(default)s)',
    )
    parser.add_argument(
        '--best', action='store_true', help="take a run's best checkpoint instead of its newest"
    )


def run(arguments: argparse.Namespace) -> int:
    """Writes what was found, and prints how near it comes.

    Raises:
      InputError: no such image or network, one that draws nothing of styles, or files that are
        there already.
    """
    results.check_numbers(arguments, {'steps': 1, 'seed': 0})
    folder = Path(arguments.output)
    files = [folder / name for name in (IMAGE, COMPARED, LATENTS)]
    results.prepare(files, [arguments.image], folder)
    if not any(results.find_missing(arguments, [files])):
        print(f'{folder}: is there already')
        return 0
    given = load_image(arguments.image)
    images = StyleImages(networks.load(arguments.weights, best=arguments.best), batch=1)
    target = fit(given, images.model.size)
    settings = ProjectionSettings(steps=arguments.steps, seed=arguments.seed)
    with tqdm(total=settings.steps, unit='step', leave=False, disable=None) as bar:

        def report(step: int, distance: float) -> None:
            bar.update(step - bar.n)
            bar.set_postfix(distance=f'{distance:.4f}')

        found = project(images, target, _read_distance(arguments.distance), settings, report)
    _save(images, target, found, folder)
    error = float(np.mean(np.square(found.image - target)))
    print(f'{folder / IMAGE}: distance {found.distance:.4f}, mse {error:.5f}')
    return 0


def fit(image: np.ndarray, size: int) -> np.ndarray:
    """Returns the middle square of an image at a size, in color."""
    side = min(image.shape[:2])
    top, left = ((length - side) // 2 for length in image.shape[:2])
    square = jnp.asarray(image[top : top + side, left : left + side, :3])
    small = np.clip(np.asarray(imresize(square, size / side)), 0, 1)[:size, :size]
    return np.broadcast_to(small, (size, size, 3)).astype(np.float32)


def _read_distance(name: str) -> Distance:
    if name == 'pixels':
        return pixel_distance
    measure = lpips.load('vgg')

    def apart(first: Any, second: Any) -> Any:
        shown = clip_finite(first)
        return measure.of_batches(shown, second) + pixel_distance(first, second)

    return apart


def _save(images: StyleImages, target: np.ndarray, found: Projected, folder: Path) -> None:
    (average,) = images.make(images.repeat(np.asarray(images.mean)[None]))
    save_image(folder / IMAGE, found.image)
    tiles = [('given', target), ('found', found.image), ('mean style', average)]
    save_image(folder / COMPARED, sheet(tiles, len(tiles)))
    noise = {f'noise_{i:02d}': map_ for i, map_ in enumerate(found.noise)}
    with whole_file(folder / LATENTS) as partial, partial.open('wb') as file:
        np.savez(file, style=found.style, allow_pickle=False, **noise)
