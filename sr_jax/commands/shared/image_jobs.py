"""Images named on the command line: which they are, and where their results go."""

import functools
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from sr_jax.errors import InputError
from sr_jax.images.decoding import ImageError
from sr_jax.images.files import list_images, load_image

Files = TypeVar('Files')  # one, or several


def each_image(
    loads: Sequence[tuple[str, Callable[[], Any]]],
    files: Iterable[Files],
    show: Callable[[Any, Files], None],
) -> int:
    """Does something with each image; one that fails is named, and the others are done.

    Args:
      loads: the name of each image, and what loads it or raises InputError.
      files: what is written for each image.
      show: takes an image and its files.

    Returns:
      The exit status: 0, or 1 when an image could not be read or written.
    """
    failed = 0
    for (name, load), file in zip(loads, files, strict=True):
        try:
            show(load(), file)
        except InputError as error:
            named = '' if isinstance(error, ImageError) else f'{name}: '
            print(f'error: {named}{error}', file=sys.stderr)
            failed += 1
    if failed:
        print(f'error: {failed} of {len(loads)} images could not be done', file=sys.stderr)
    return 1 if failed else 0


def make_loaders(paths: Iterable[Path]) -> list[tuple[str, Callable[[], np.ndarray]]]:
    """Returns the name of each image, and what loads it."""
    return [(path.stem, functools.partial(load_image, path)) for path in paths]


def expand_paths(paths: Iterable[Path]) -> Iterable[Path]:
    """Yields the images that a person named: files, and all in folders and below them.

    Raises:
      InputError: there is no such file or folder.
    """
    for path in paths:
        if path.is_dir():
            yield from list_images(path)
        elif path.exists():
            yield path
        else:
            raise InputError(f'no such image or folder: {path}')


def name_targets(names: Iterable[str], folder: Path, suffix: str = '.png') -> Iterable[Path]:
    """Yields a file for each image: its name, numbered where two images share one."""
    seen: dict[str, int] = {}
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        number = '' if seen[name] == 1 else f'_{seen[name]}'
        yield folder / f'{name}{number}{suffix}'
