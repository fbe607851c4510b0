"""Draws boxes around what a trained detector finds in images."""

import argparse
from pathlib import Path

import jax
import numpy as np

from sr_jax.checkpoints.run import load_run
from sr_jax.commands.shared import results
from sr_jax.commands.shared.image_jobs import each_image, find_images, make_loaders, plan_folder
from sr_jax.devices import sharding
from sr_jax.errors import InputError
from sr_jax.images.boxes import draw
from sr_jax.images.files import save_image
from sr_jax.images.padding import mirror_pad


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `sr-jax detect`."""
    parser.add_argument(
        'checkpoint', metavar='RUN', help='the folder of a run, or one of its checkpoints'
    )
    parser.add_argument(
        'images', nargs='+', metavar='IMAGE', type=Path, help='images, or folders of them'
    )
    results.add_arguments(parser, 'boxes', 'the folder where the drawings go, one an image')
    parser.add_argument(
        '--least-score',
        type=float,
        default=0.3,
        metavar='SCORE',
        help='boxes that are less certain are left out (default: 0.3)',
    )
    parser.add_argument(
        '--best', action='store_true', help='take the best checkpoint instead of the newest'
    )


def run(arguments: argparse.Namespace) -> int:
    """Writes `<output>/<name>.png` for each image, and prints the boxes.

    Returns:
      0, or 1 when an image could not be read; the others are done all the same.

    Raises:
      InputError: no checkpoint, a run that finds no boxes, or no such image.
    """
    found = find_images(arguments.images, Path(arguments.output))
    images, files = plan_folder(arguments, found)
    mesh = sharding.make_mesh(jax.devices()[:1])
    model = load_run(arguments.checkpoint, best=arguments.best, mesh=mesh)
    if model.config.task != 'detection':
        raise InputError(
            f'{arguments.checkpoint} is a run of the task {model.config.task!r}, which finds no '
            'boxes: take one of the task detection'
        )
    predict = sharding.jit_predict(model.task.predict, mesh, model.config.dtype)

    def show(image: np.ndarray, target: Path) -> None:
        outputs = predict(model.variables, {'hq': mirror_pad(image)[None]})
        boxes, scores = (np.array(outputs[name][0]) for name in ('boxes', 'scores'))
        boxes[:, :4] = np.clip(boxes[:, :4], 0, [*image.shape[:2]] * 2)
        seen = (boxes[:, :2] < boxes[:, 2:4]).all(axis=1)  # not in what was mirrored
        kept = (scores >= max(arguments.least_score, 1e-6)) & seen
        save_image(target, draw(image, boxes[kept], model.config.model.classes, scores[kept]))
        print(f'{target}  {int(kept.sum())} boxes')
        for (top, left, bottom, right, kind), score in zip(boxes[kept], scores[kept], strict=True):
            place = f'{left:.0f},{top:.0f} to {right:.0f},{bottom:.0f}'
            print(f'  class {int(kind)}  {score:.2f}  {place}')

    return each_image(make_loaders(images), files, show)
