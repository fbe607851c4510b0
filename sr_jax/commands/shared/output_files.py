"""The format of enlarged images, as the command line says it."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from sr_jax.errors import InputError
from sr_jax.images.decoding import Outline
from sr_jax.images.files import written_format
from sr_jax.images.formats import WRITTEN

UNKNOWN_IMAGES = ('.heic', '.heif', '.jxl')  # of which Pillow knows nothing
FORMATS = ('png', 'jpg', 'webp', 'tif', 'gif', 'avif')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds --format, --quality and --lossless."""
    parser.add_argument(
        '--format',
        choices=FORMATS,
        help='of files in a folder (default: png, in which animations stay such; of several pages '
        'tif)',
    )
    parser.add_argument(
        '--quality',
        type=int,
        metavar='1..100',
        help='of JPEG and WebP (default: 95) and AVIF (default: 90)',
    )
    parser.add_argument('--lossless', action='store_true', help='of WebP: every pixel as it is')


def check(arguments: argparse.Namespace) -> None:
    """Raises InputError for a quality that is none, or of a format that has none."""
    quality = arguments.quality
    if quality is not None and not 1 <= quality <= 100:
        raise InputError(f'--quality {quality}: it must be from 1 to 100')
    if quality is not None and arguments.lossless:
        raise InputError('--quality and --lossless do not go together: take one of them')
    file_suffix = Path(arguments.output).suffix.lower()
    suffix = file_suffix if file_suffix in WRITTEN else f'.{arguments.format or "png"}'
    if quality is not None and not WRITTEN[suffix].has_quality:
        raise InputError(
            f'--quality is of jpg, webp and avif, not of {suffix}: say which (--format jpg)'
        )
    if arguments.lossless and suffix in ('.jpg', '.jpeg', '.avif', '.gif'):
        raise InputError(
            f'--lossless is of webp; png and tif always are, and {suffix} never is (--format webp)'
        )


def single_file(output: str, given: Sequence[Path], samples: int) -> Path | None:
    """Returns the file that --output names; None where it names a folder.

    A slash at the end, a folder that is there, several images, and a name without the suffix of an
    image name a folder.

    Args:
      output: as given.
      given: the images and folders on the command line.
      samples: of each image.

    Raises:
      InputError: a file that is there for several images, or one of a kind that is not written.
    """
    path = Path(output)
    known = path.suffix.lower() in {*WRITTEN, *UNKNOWN_IMAGES, *Image.registered_extensions()}
    if output.endswith(('/', '\\')) or path.is_dir() or not known:
        return None
    if len(given) > 1 or samples > 1 or given[0].is_dir():
        if not path.exists():
            return None
        what = f'{samples} samples' if samples > 1 else 'several images'
        raise InputError(
            f'--output {output} is one file, but there are {what}: take a folder '
            f'({path.with_suffix("")}/)'
        )
    written_format(path)
    return path


def choose_suffix(arguments: argparse.Namespace, outline: Outline | None) -> str:
    """Returns the suffix of an image's result in a folder."""
    if arguments.format:
        return f'.{arguments.format}'
    return '.tif' if outline and outline.pages > 1 else '.png'
