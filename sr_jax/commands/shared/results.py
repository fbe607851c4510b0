"""Where results go: a file for each, none twice, none over what was there without being asked."""

import argparse
import os
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from sr_jax.errors import InputError
from sr_jax.images.atomic import remove_left_over

MAX_NUMBER = 10**6  # of results, or of steps to one
MAX_SEED = 2**62  # and as many samples after it, each of the next seed, still have one


def add_arguments(parser: argparse.ArgumentParser, default: str, text: str) -> None:
    """Adds --output, --skip-existing and --overwrite.

    Args:
      parser: of the verb.
      default: the folder, where none is named.
      text: the help of --output.
    """
    parser.add_argument(
        '--output', default=default, metavar='PATH', help=f'{text} (default: %(default)s)'
    )
    existing = parser.add_mutually_exclusive_group()
    existing.add_argument(
        '--skip-existing', action='store_true', help='leave out what has its result already'
    )
    existing.add_argument(
        '--overwrite', action='store_true', help='replace results that are there already'
    )


def check_numbers(arguments: argparse.Namespace, least: Mapping[str, int]) -> None:
    """Checks numbers of the command line that say how much is made, and seeds.

    Args:
      arguments: of the command line.
      least: of each argument that is checked, by its name, the least that it can be.

    Raises:
      InputError: one is smaller, or so large that no end would come.
    """
    for name, smallest in least.items():
        value, largest = getattr(arguments, name), MAX_SEED if name == 'seed' else MAX_NUMBER
        if not value >= smallest:
            raise InputError(f'--{name} {value}: it must be at least {smallest}')
        if value > largest:
            raise InputError(f'--{name} {value}: it must be at most {largest}')


def name_files(
    names: Sequence[str], folder: Path, suffixes: Sequence[str], beside: Sequence[str] = ()
) -> list[Path]:
    """Returns a file for each result: its name below the folder, numbered where it is taken.

    No two are the same, not even where a file system takes small and capital letters, or composed
    and decomposed ones, for the same; nor is one the folder of another.

    Args:
      names: of the results, without a suffix; '/' stands between folders.
      folder: below which they go.
      suffixes: of each result's file.
      beside: suffixes of further files of each result.
    """
    own = [[suffix, *beside] for suffix in suffixes]
    folders = {_fold(str(parent)) for name in names for parent in PurePosixPath(name).parents}
    wanted = {_fold(name + end) for name, ends in zip(names, own, strict=True) for end in ends}
    given: set[str] = set()
    files = []
    for name, ends in zip(names, own, strict=True):
        chosen, number = name, 1
        while any(
            key in given or key in folders or (number > 1 and key in wanted)
            for key in (_fold(chosen + end) for end in ends)
        ):
            number += 1
            chosen = f'{name}_{number}'
        given.update(_fold(chosen + end) for end in ends)
        files.append(folder / (chosen + ends[0]))
    return files


def prepare(files: Sequence[Path], inputs: Iterable[Path], folder: Path) -> None:
    """Makes the folders of results, after a look at whether they can be written there.

    What was left of such results by a process that was killed is removed.

    Args:
      files: of the results.
      inputs: the files that they are made from.
      folder: that holds them all.

    Raises:
      InputError: a result in the place of an input, or a folder that cannot be made or written.
    """
    given = {_identify(path) for path in inputs}
    for file in files:
        if _identify(file) in given:
            raise InputError(f'{file} would replace the image itself: take another --output')
    for parent in {folder, *(file.parent for file in files)}:
        parent.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise InputError(f'{folder} cannot be written: take another folder (--output)')
    remove_left_over(files)


def find_missing(
    arguments: argparse.Namespace, files: Sequence[Sequence[Path]]
) -> list[bool]:
    """Returns which results are to be made.

    Args:
      arguments: of the command line.
      files: of each result, one or several.

    Raises:
      InputError: files are there, and nothing was said of what becomes of them.
    """
    if arguments.skip_existing:
        return [not all(file.is_file() for file in own) for own in files]
    existing = [file for own in files for file in own if file.exists()]
    if existing and not arguments.overwrite:
        more = f' (and {len(existing) - 1} more)' if len(existing) > 1 else ''
        raise InputError(
            f'{existing[0]}{more} is there already: --skip-existing leaves such results as they '
            'are, --overwrite replaces them, or take another --output'
        )
    for file in existing:
        if file.is_dir():
            raise InputError(f'{file} is a folder, where a result would go: take another --output')
    return [True] * len(files)


def _identify(path: Path) -> object:
    """Returns what a file has in common with its links, and other spellings of its name."""
    try:
        about = path.stat()
    except OSError:  # it is not there
        return path.resolve()
    return about.st_dev, about.st_ino


def _fold(name: str) -> str:
    return unicodedata.normalize('NFC', unicodedata.normalize('NFC', name).casefold())
