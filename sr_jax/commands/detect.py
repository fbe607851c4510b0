"""Draws boxes around what a trained detector finds in images."""

import argparse
from pathlib import Path

import numpy as np

from sr_jax.commands.shared import seeing
from sr_jax.images.boxes import draw
from sr_jax.images.files import save_image
from sr_jax.tasks.task import Outputs

LEAST_SCORE = 1e-6  # what is less is no box, but fills the array


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `sr-jax detect`."""
    seeing.add_arguments(parser, 'boxes')
    parser.add_argument(
        '--least-score',
        type=float,
        default=0.3,
        metavar='SCORE',
        help='boxes that are less certain are left out (default: 0.3)',
    )


def run(arguments: argparse.Namespace) -> int:
    """Writes `<output>/<name>.png` for each image, and prints the boxes.

    Returns:
      0, or 1 when an image could not be read; the others are done all the same.

    Raises:
      InputError: no checkpoint, a run that finds no boxes, or no such image.
    """

    def show(image: np.ndarray, outputs: Outputs, classes: int, target: Path) -> None:
        boxes, scores = (np.array(outputs[name][0]) for name in ('boxes', 'scores'))
        boxes[:, :4] = np.clip(boxes[:, :4], 0, [*image.shape[:2]] * 2)
        seen = (boxes[:, :2] < boxes[:, 2:4]).all(axis=1)  # not in what was mirrored
        kept = (scores >= max(arguments.least_score, LEAST_SCORE)) & seen
        save_image(target, draw(image, boxes[kept], classes, scores[kept]))
        print(f'{target}  {int(kept.sum())} boxes')
        for (top, left, bottom, right, kind), score in zip(boxes[kept], scores[kept], strict=True):
            place = f'{left:.0f},{top:.0f} to {right:.0f},{bottom:.0f}'
            print(f'  class {int(kind)}  {score:.2f}  {place}')

    return seeing.look(arguments, 'detection', 'finds no boxes', show)
