"""Shows which kernel each switched convolution of a trained network chose, pixel by pixel."""

import argparse
from pathlib import Path

import jax
import numpy as np

from sr_jax.checkpoints.run import load_run, read_switching
from sr_jax.commands.shared import results
from sr_jax.commands.shared.image_jobs import (
    each_image,
    find_images,
    make_loaders,
    plan_folder,
)
from sr_jax.devices import sharding
from sr_jax.errors import InputError
from sr_jax.images.files import save_image
from sr_jax.images.finite import check_finite
from sr_jax.images.padding import mirror_pad
from sr_jax.images.selector_map import draw
from sr_jax.metrics.codebook import perplexity


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
    mesh = sharding.make_mesh(jax.devices()[:1])
    model = load_run(arguments.checkpoint, best=arguments.best, mesh=mesh)
    switching = read_switching(model.config)
    if not switching.layers:
        raise InputError(
            f'{arguments.checkpoint} has no switched convolutions: python -m sr_jax '
            'convert-to-switched makes a network that has'
        )
    predict = sharding.jit_predict(model.task.predict, mesh, model.config.dtype)

    def show(image, target):
        outputs = predict(model.variables, {'hq': mirror_pad(image)[None]})
        check_finite(outputs, f'what {arguments.checkpoint} makes of the image')
        choices = {layer: np.asarray(c[0]) for layer, c in outputs['choices'].items()}
        save_image(target, draw(image, choices, switching.breadth))
        print(target)
        for layer, choice in choices.items():
            used = np.bincount(choice.ravel(), minlength=switching.breadth)
            shares = ' '.join(f'{share:6.1%}' for share in used / used.sum())
            print(f'  {layer:<28} {shares}  perplexity {np.asarray(perplexity(used)).item():.2f}')

    return each_image(make_loaders(images), files, show)
