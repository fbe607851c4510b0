"""Draws the class of each pixel of images, as a trained segmenter sees them."""

import argparse
from pathlib import Path

import jax
import numpy as np

from sr_jax.checkpoints.run import load_run
from sr_jax.commands.shared import results
from sr_jax.commands.shared.image_jobs import each_image, find_images, make_loaders, plan_folder
from sr_jax.devices import sharding
from sr_jax.errors import InputError
from sr_jax.images.contact_sheet import grid
from sr_jax.images.files import save_image
from sr_jax.images.padding import mirror_pad
from sr_jax.images.segments import overlay, save_mask

MOST_SHOWN = 6  # classes of an image that are told


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `sr-jax segment`."""
    parser.add_argument(
        'checkpoint', metavar='RUN', help='the folder of a run, or one of its checkpoints'
    )
    parser.add_argument(
        'images', nargs='+', metavar='IMAGE', type=Path, help='images, or folders of them'
    )
    results.add_arguments(parser, 'segments', 'the folder where the drawings go, one an image')
    parser.add_argument(
        '--masks',
        action='store_true',
        help='write the masks alone, PNGs whose pixels are the numbers of the classes',
    )
    parser.add_argument(
        '--best', action='store_true', help='take the best checkpoint instead of the newest'
    )


def run(arguments: argparse.Namespace) -> int:
    """Writes `<output>/<name>.png` for each image: the image | its mask upon it.

    Returns:
      0, or 1 when an image could not be read; the others are done all the same.

    Raises:
      InputError: no checkpoint, a run that segments nothing, or no such image.
    """
    found = find_images(arguments.images, Path(arguments.output))
    images, files = plan_folder(arguments, found)
    mesh = sharding.make_mesh(jax.devices()[:1])
    model = load_run(arguments.checkpoint, best=arguments.best, mesh=mesh)
    if model.config.task != 'segmentation':
        raise InputError(
            f'{arguments.checkpoint} is a run of the task {model.config.task!r}, which tells no '
            'classes of pixels: take one of the task segmentation'
        )
    predict = sharding.jit_predict(model.task.predict, mesh, model.config.dtype)
    count = model.config.model.classes

    def show(image: np.ndarray, target: Path) -> None:
        height, width = image.shape[:2]
        outputs = predict(model.variables, {'hq': mirror_pad(image)[None]})
        segments = np.asarray(outputs['segments'])[0, :height, :width]
        if arguments.masks:
            save_mask(target, segments, count)
        else:
            save_image(target, grid([image[None], overlay(image, segments, count)[None]]))
        shares = np.bincount(segments.ravel(), minlength=count) / segments.size
        first = [i for i in np.argsort(-shares)[:MOST_SHOWN] if shares[i] > 0]
        print(f'{target}  ' + ', '.join(f'class {i} {shares[i]:.1%}' for i in first))

    return each_image(make_loaders(images), files, show)

