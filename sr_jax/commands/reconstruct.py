"""Shows images beside what a trained autoencoder makes of them."""

import argparse
import functools
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
from jaxtyping import Float

from sr_jax.checkpoints.run import load_run
from sr_jax.commands.shared import image_jobs
from sr_jax.config.binding import bind
from sr_jax.config.settings import DataSettings
from sr_jax.data.protocol import Source
from sr_jax.data.sources import validation_source
from sr_jax.devices import sharding
from sr_jax.images.contact_sheet import grid
from sr_jax.images.decoding import to_float
from sr_jax.images.files import save_image
from sr_jax.images.finite import check_finite
from sr_jax.images.padding import mirror_pad


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `sr-jax reconstruct`."""
    parser.add_argument(
        'checkpoint', metavar='RUN', help='the folder of a run, or one of its checkpoints'
    )
    parser.add_argument(
        'images',
        nargs='*',
        metavar='IMAGE',
        type=Path,
        help="images, or folders of them (default: the run's own validation images)",
    )
    parser.add_argument(
        '--output',
        type=Path,
        default=Path('reconstructions'),
        metavar='FOLDER',
        help='where the side-by-side images go (default: %(default)s)',
    )
    parser.add_argument(
        '--best', action='store_true', help='take the best checkpoint instead of the newest'
    )


def run(arguments: argparse.Namespace) -> int:
    """Writes `<output>/<name>.png` for each image: the image | its reconstruction.

    Returns:
      0, or 1 when an image could not be read; the others are done all the same.

    Raises:
      InputError: no checkpoint, or no such image or folder.
    """
    paths = list(image_jobs.expand_paths(arguments.images))
    mesh = sharding.make_mesh(jax.devices()[:1])
    model = load_run(arguments.checkpoint, best=arguments.best, mesh=mesh)
    print(f'{arguments.checkpoint}: network after {model.step} steps')
    predict = sharding.jit_predict(model.task.predict, mesh)
    arguments.output.mkdir(parents=True, exist_ok=True)
    if paths:
        loads = image_jobs.make_loaders(paths)
    else:
        source = validation_source(bind(DataSettings, model.config.data, 'config.data'))
        loads = [
            (Path(source.name(i)).stem, functools.partial(_load_example, source, i))
            for i in range(len(source))
        ]

    def show(image, target):
        output = reconstruct(lambda hq: predict(model.variables, {'hq': hq}), image)
        check_finite(output, f'what {arguments.checkpoint} makes of the image')
        mse = float(np.mean(np.square(output - image)))
        save_image(target, grid([image[None], output[None]]))
        print(f'{target}  mse {mse:.5f}')

    files = image_jobs.name_targets([name for name, _ in loads], arguments.output)
    return image_jobs.each_image(loads, files, show)


def _load_example(source: Source, index: int) -> np.ndarray:
    return to_float(source.example(index)['hq'])


def reconstruct(
    predict: Callable, image: Float[np.ndarray, 'h w 3']
) -> Float[np.ndarray, 'h w 3']:
    """Returns what the network makes of an image of any size, in [0, 1].

    The image is mirrored beyond its lower and right edge to a multiple of 64 pixels, and what
    the network returns is cut back.

    Args:
      predict: float32 [1, H, W, 3] -> {'image': [1, H, W, 3]}.
    """
    height, width = image.shape[:2]
    return np.asarray(predict(mirror_pad(image)[None])['image'])[0, :height, :width]
