"""Shows which kernel each switched convolution of a trained network chose, pixel by pixel."""

import argparse
from pathlib import Path

from sr_jax.commands.shared import results
from sr_jax.commands.shared.image_jobs import (
    each_image,
    find_images,
    make_loaders,
    plan_folder,
)
from sr_jax.images.files import save_image
from sr_jax.images.selector_map import draw
from sr_jax.inference.selector_maps import Selectors, count_uses


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `sr-jax selector-maps`."""
    parser.add_argument(
        'checkpoint', metavar='RUN', help='the folder of a run, or one of its checkpoints'
    )
    parser.add_argument(
        'images', nargs='+', metavar='IMAGE', type=Path, help='images, or folders of them'
    )
    results.add_arguments(parser, 'selector_maps', 'the folder where the maps go, one an image')
    parser.add_argument(
        '--best', action='store_true', help='take the best checkpoint instead of the newest'
    )


def run(arguments: argparse.Namespace) -> int:
    """Writes `<output>/<name>.png` for each image, and prints the usage of the kernels.

    Returns:
      0, or 1 when an image could not be read; the others are done all the same.

    Raises:
      InputError: no checkpoint, a network without switched convolutions, or no such image.
    """
    found = find_images(arguments.images, Path(arguments.output))
    images, files = plan_folder(arguments, found)
    selectors = Selectors(arguments.checkpoint, arguments.best)

    def show(image, target):
        choices = selectors.choose(image)
        save_image(target, draw(image, choices, selectors.breadth))
        print(target)
        for use in count_uses(choices, selectors.breadth):
            shares = ' '.join(f'{share:6.1%}' for share in use.shares)
            print(f'  {use.layer:<28} {shares}  perplexity {use.perplexity:.2f}')

    return each_image(make_loaders(images), files, show)
