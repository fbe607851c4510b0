"""Shows pictures beside what a trained autoencoder makes of them."""

import argparse
import functools
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
from jaxtyping import Float

from sr_jax import image_io, sharding, trained
from sr_jax.commands import pictures
from sr_jax.config import bind
from sr_jax.data.settings import DataSettings
from sr_jax.data.sources import validation_source

HELP = 'pictures in, side-by-side pictures (input | reconstruction) out'
MULTIPLE = 64  # pictures are padded to it, so that those of similar size share a compilation


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `python -m sr_jax reconstruct`."""
    parser.add_argument(
        'checkpoint', metavar='RUN', help='the folder of a run, or one of its checkpoints'
    )
    parser.add_argument(
        'pictures',
        nargs='*',
        metavar='PICTURE',
        type=Path,
        help="pictures, or folders of them (default: the run's own validation pictures)",
    )
    parser.add_argument(
        '--output',
        type=Path,
        default=Path('reconstructions'),
        metavar='FOLDER',
        help='where the side-by-side pictures go (default: %(default)s)',
    )
    parser.add_argument(
        '--best', action='store_true', help='take the best checkpoint instead of the newest'
    )


def run(arguments: argparse.Namespace) -> int:
    """Writes `<output>/<name>.png` for each picture: the picture | its reconstruction.

    Returns:
      0, or 1 when a picture could not be read; the others are done all the same.

    Raises:
      InputError: no checkpoint, or no such picture or folder.
    """
    paths = list(pictures.expand(arguments.pictures))
    mesh = sharding.make_mesh(jax.devices()[:1])
    model = trained.load(arguments.checkpoint, best=arguments.best, mesh=mesh)
    print(f'{arguments.checkpoint}: network after {model.step} steps')
    predict = sharding.jit_predict(model.task.predict, mesh)
    arguments.output.mkdir(parents=True, exist_ok=True)
    if paths:
        loads = pictures.loaders(paths)
    else:
        source = validation_source(bind(DataSettings, model.config.data, 'config.data'))
        loads = [
            (Path(source.name(i)).stem, functools.partial(source.__getitem__, i))
            for i in range(len(source))
        ]

    def show(picture, target):
        output = reconstruct(lambda hq: predict(model.variables, {'hq': hq}), picture)
        mse = float(np.mean(np.square(output - picture)))
        image_io.save(target, image_io.grid([picture[None], output[None]]))
        print(f'{target}  mse {mse:.5f}')

    files = pictures.targets([name for name, _ in loads], arguments.output)
    return pictures.each_picture(loads, files, show)


def reconstruct(
    predict: Callable, picture: Float[np.ndarray, 'h w 3']
) -> Float[np.ndarray, 'h w 3']:
    """Returns what the network makes of a picture of any size, in [0, 1].

    The picture is mirrored beyond its lower and right edge to a multiple of 64 pixels, and what
    the network returns is cut back.

    Args:
      predict: float32 [1, H, W, 3] -> {'image': [1, H, W, 3]}.
    """
    height, width = picture.shape[:2]
    return np.asarray(predict(mirrored(picture)[None])['image'])[0, :height, :width]


def mirrored(picture: Float[np.ndarray, 'h w 3']) -> Float[np.ndarray, 'h2 w2 3']:
    """The picture, mirrored beyond its lower and right edge to a multiple of 64 pixels."""
    height, width = picture.shape[:2]
    padding = ((0, -height % MULTIPLE), (0, -width % MULTIPLE), (0, 0))
    return np.pad(picture, padding, mode='symmetric')
