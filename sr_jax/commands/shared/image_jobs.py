"""Images named on the command line: which they are, and how one after the other is done."""

import argparse
import functools
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from sr_jax.commands.shared import results
from sr_jax.errors import INTERRUPTED, InputError, describe
from sr_jax.images.files import count_others, list_images, load_image
from sr_jax.images.formats import SUFFIXES

Files = TypeVar('Files')  # one, or several


class NamedImage(NamedTuple):
    """An image file, and what its result is called.

    Attributes:
      path: of the file.
      name: without suffix; of an image in a folder, the path from that folder.
    """

    path: Path
    name: str


def each_image(
    loads: Sequence[tuple[str, Callable[[], Any]]],
    files: Iterable[Files],
    show: Callable[[Any, Files], None],
) -> int:
    """Does something with each image; one that fails is named, and the others are done.

    Args:
      loads: the name of each image, and what loads it.
      files: what is written for each image.
      show: takes an image and its files.

    Returns:
      The exit status: 0, 1 when an image could not be read or written, or 130 after Ctrl-C.
    """
    failed = done = 0
    for (name, load), file in zip(loads, files, strict=True):
        try:
            show(load(), file)
            done += 1
        except KeyboardInterrupt:
            print(f'\ninterrupted: {done} of {len(loads)} images are done', file=sys.stderr)
            return INTERRUPTED
        except Exception as error:  # whatever one image raises, the others are done
            print(f'error: {describe(error, name)}', file=sys.stderr)
            failed += 1
    if failed:
        print(f'error: {failed} of {len(loads)} images could not be done', file=sys.stderr)
    return 1 if failed else 0


def make_loaders(images: Iterable[NamedImage]) -> list[tuple[str, Callable[[], np.ndarray]]]:
    """Returns the name of each image, and what loads it."""
    return [(image.path.name, functools.partial(load_image, image.path)) for image in images]


def find_images(paths: Iterable[Path], output: Path | None = None) -> list[NamedImage]:
    """Finds the images that a person named: files, and all in folders and below them.

    Files in a folder that are no images are counted on the standard error. What lies in the
    folder of the results is no image of the folder above it.

    Args:
      paths: files and folders.
      output: the folder of the results.

    Raises:
      InputError: there is no such file or folder, a folder has no images, or it is that of the
        results.
    """
    found = []
    for path in paths:
        if path.is_dir():
            found += _find_in_folder(path, output.resolve() if output else None)
        elif path.exists():
            found.append(NamedImage(path, path.stem))
        else:
            raise InputError(f'no such image or folder: {path}')
    return found


def _find_in_folder(folder: Path, output: Path | None) -> list[NamedImage]:
    if output == folder.resolve():
        raise InputError(f'{folder} is the folder of the images itself: take another --output')
    images = [path for path in list_images(folder) if output not in path.resolve().parents]
    others = count_others(folder)
    counts = ', '.join(f'{count} {suffix or "without suffix"}' for suffix, count in others.items())
    if not images:
        raise InputError(
            f'{folder}: no images in this folder or below it (there are {counts or "no files"}; '
            f'looked for {", ".join(SUFFIXES)})'
        )
    if others:
        print(f'{folder}: files that are no images are left out: {counts}', file=sys.stderr)
    names = [path.relative_to(folder).with_suffix('').as_posix() for path in images]
    return [NamedImage(*pair) for pair in zip(images, names, strict=True)]


def plan_folder(
    arguments: argparse.Namespace, images: Sequence[NamedImage], beside: Sequence[str] = ()
) -> tuple[list[NamedImage], list[Path]]:
    """Returns the images that are to be done and the PNG of each, in the folder of --output.

    Args:
      arguments: with those of `results.add_arguments`.
      images: that are to be done.
      beside: suffixes of further files of each.

    Raises:
      InputError: a result cannot be written, would replace an image, or is there already.
    """
    folder = Path(arguments.output)
    names = [image.name for image in images]
    files = results.name_files(names, folder, ['.png'] * len(names), beside)
    results.prepare(files, [image.path for image in images], folder)
    wanted = results.find_missing(arguments, [[file] for file in files])
    keep = [i for i, missing in enumerate(wanted) if missing]
    return [images[i] for i in keep], [files[i] for i in keep]
