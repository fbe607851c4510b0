"""What the verbs that look at images with a run have in common: `segment` and `detect`."""

import argparse
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np

from sr_jax.checkpoints.run import load_run
from sr_jax.commands.shared import results
from sr_jax.commands.shared.image_jobs import each_image, find_images, make_loaders, plan_folder
from sr_jax.devices import sharding
from sr_jax.errors import InputError
from sr_jax.images.padding import mirror_pad
from sr_jax.inference import networks
from sr_jax.tasks.task import Outputs

# An image, what the run makes of it (a batch of one), the number of classes, the file to write.
Show = Callable[[np.ndarray, Outputs, int, Path], None]


def add_arguments(parser: argparse.ArgumentParser, output: str) -> None:
    """Adds a run, images and where drawings go; `output` is the folder that is proposed."""
    parser.add_argument(
        'checkpoint', metavar='RUN', help='the folder of a run, or one of its checkpoints'
    )
    parser.add_argument(
        'images', nargs='+', metavar='IMAGE', type=Path, help='images, or folders of them'
    )
    results.add_arguments(parser, output, 'the folder where the drawings go, one an image')
    parser.add_argument(
        '--best', action='store_true', help='take the best checkpoint instead of the newest'
    )


def look(arguments: argparse.Namespace, task: str, lack: str, show: Show) -> int:
    """Has a run of a task look at each image, and shows what it made of it.

    Args:
      arguments: of the command line.
      task: of which the run must be.
      lack: what runs of other tasks are said to do.
      show: writes one result.

    Returns:
      0, or 1 when an image could not be read; the others are done all the same.

    Raises:
      InputError: no checkpoint, a run of another task, or no such image.
    """
    found = find_images(arguments.images, Path(arguments.output))
    images, files = plan_folder(arguments, found)
    mesh = sharding.make_mesh(jax.devices()[:1])
    model = load_run(arguments.checkpoint, best=arguments.best, mesh=mesh, load=networks.load)
    if model.config.task != task:
        raise InputError(
            f'{arguments.checkpoint} is a run of the task {model.config.task!r}, which {lack}: '
            f'take one of the task {task}'
        )
    predict = sharding.jit_predict(model.task.predict, mesh, model.config.dtype)

    def work(image: np.ndarray, target: Path) -> None:
        outputs = predict(model.variables, {'hq': mirror_pad(image)[None]})
        show(image, outputs, model.config.model.classes, target)

    return each_image(make_loaders(images), files, work)
