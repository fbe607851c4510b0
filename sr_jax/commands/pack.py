"""Cuts large images into sub-images, of which training reads crops many times as fast.

  python -m sr_jax pack photos/ packed/
  python -m sr_jax pack photos_lq/ packed_lq/ --size 120 --step 60

`config.data.source='packed:packed/'` trains on them, `'paired:packed/:packed_lq/'` on pairs: size
and step of the small images are then the true ones' divided by the scale. They overlap, so that a
crop can lie nearly anywhere, are PNGs without loss, and take about four times the space of the
images as PNG. After an interruption the same command goes on.
"""

import argparse
import sys
from pathlib import Path

from sr_jax.data.packing import pack


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `sr-jax pack`."""
    parser.add_argument('folder', metavar='FOLDER', type=Path, help='of images; those in it too')
    parser.add_argument('output', metavar='OUTPUT', type=Path, help='folder of what is written')
    parser.add_argument('--size', type=int, default=480, help='side of a sub-image (480)')
    parser.add_argument(
        '--step', type=int, default=240, help='pixels from one to the next (240)'
    )


def run(arguments: argparse.Namespace) -> int:
    """Packs a folder.

    Returns:
      0, or 1 when an image could not be read; the others are there all the same.

    Raises:
      InputError: there are no images, or the output cannot be written.
    """
    done = pack(arguments.folder.expanduser(), arguments.output, arguments.size, arguments.step)
    for name, reason in done.failed.items():
        print(f'error: {arguments.folder / name}: {reason}', file=sys.stderr)
    print(
        f'{arguments.output}: {done.sub_images} sub-images of {done.images} images, '
        f"{done.fingerprint[:12]}; config.data.source='packed:{arguments.output}'"
    )
    return 1 if done.failed else 0
