"""Draws the class of each pixel of images, as a trained segmenter sees them."""

import argparse
from pathlib import Path

import numpy as np

from sr_jax.commands.shared import seeing
from sr_jax.images.contact_sheet import grid
from sr_jax.images.files import save_image
from sr_jax.images.segments import overlay, save_mask
from sr_jax.tasks.task import Outputs

MOST_SHOWN = 6  # classes of an image that are told


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `sr-jax segment`."""
    seeing.add_arguments(parser, 'segments')
    parser.add_argument(
        '--masks',
        action='store_true',
        help='write the masks alone, PNGs whose pixels are the numbers of the classes',
    )


def run(arguments: argparse.Namespace) -> int:
    """Writes `<output>/<name>.png` for each image: the image | its mask upon it.

    Returns:
      0, or 1 when an image could not be read; the others are done all the same.

    Raises:
      InputError: no checkpoint, a run that segments nothing, or no such image.
    """

    def show(image: np.ndarray, outputs: Outputs, classes: int, target: Path) -> None:
        height, width = image.shape[:2]
        segments = np.asarray(outputs['segments'])[0, :height, :width]
        if arguments.masks:
            save_mask(target, segments, classes)
        else:
            save_image(target, grid([image[None], overlay(image, segments, classes)[None]]))
        shares = np.bincount(segments.ravel(), minlength=classes) / segments.size
        first = [i for i in np.argsort(-shares)[:MOST_SHOWN] if shares[i] > 0]
        print(f'{target}  ' + ', '.join(f'class {i} {shares[i]:.1%}' for i in first))

    return seeing.look(arguments, 'segmentation', 'tells no classes of pixels', show)
