"""Shows images beside what a trained autoencoder makes of them."""

import argparse
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from sr_jax.checkpoints.run import load_run
from sr_jax.commands.shared import image_jobs, results
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
    results.add_arguments(
        parser, 'reconstructions', 'the folder where the side-by-side images go'
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
    images = image_jobs.find_images(arguments.images, Path(arguments.output))
    mesh = sharding.make_mesh(jax.devices()[:1])
    model = load_run(arguments.checkpoint, best=arguments.best, mesh=mesh)
    print(f'{arguments.checkpoint}: network after {model.step} steps')
    predict = sharding.jit_predict(model.task.predict, mesh, model.config.dtype)
    if images:
        images, files = image_jobs.plan_folder(arguments, images)
        loads = image_jobs.make_loaders(images)
    else:
        loads, files = _list_examples(arguments, model.config)

    def show(image, target):
        output = reconstruct(lambda hq: predict(model.variables, {'hq': hq}), image)
        check_finite(output, f'what {arguments.checkpoint} makes of the image')
        mse = float(np.mean(np.square(output - image)))
        save_image(target, grid([image[None], output[None]]))
        print(f'{target}  mse {mse:.5f}')

    return image_jobs.each_image(loads, files, show)


def _list_examples(
    arguments: argparse.Namespace, config: Any
) -> tuple[list[tuple[str, Callable[[], np.ndarray]]], list[Path]]:
    """Returns the names of a run's own validation images, what loads them, and their files."""
    source = validation_source(bind(DataSettings, config.data, 'config.data'))
    names = [Path(source.name(i)).stem for i in range(len(source))]
    files = results.name_files(names, Path(arguments.output), ['.png'] * len(names))
    results.prepare(files, [], Path(arguments.output))
    wanted = results.find_missing(arguments, [[file] for file in files])
    keep = [i for i, missing in enumerate(wanted) if missing]
    loads: list[tuple[str, Callable[[], np.ndarray]]] = [
        (names[i], functools.partial(_load_example, source, i)) for i in keep
    ]
    return loads, [files[i] for i in keep]


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
