"""Whether memory and disk hold an image and what is made of it, before it is begun."""

import math
import shutil
from pathlib import Path

import numpy as np

from sr_jax.devices.memory import host_memory, in_words
from sr_jax.errors import InputError
from sr_jax.images.decoding import Layers

COPIES = 3  # of a result while it is encoded: its channels stacked, Pillow's, and the file


def check_memory(
    layers: Layers, scale: int, size: tuple[int, int], frames: int, name: str
) -> None:
    """Looks whether the machine's memory suffices; what the devices need is seen elsewhere.

    Args:
      layers: the image, or the first of its frames.
      scale: of the network.
      size: height and width of the result.
      frames: that are kept until all are done.
      name: what messages call the image.

    Raises:
      InputError: it does not.
    """
    needed, free = bytes_needed(layers, scale, size, frames), host_memory()
    if needed > free:
        raise InputError(
            f'{name}: its result of {size[1]}x{size[0]} pixels'
            + (f' and {frames} frames' if frames > 1 else '')
            + f' takes about {in_words(needed)} of memory, and {in_words(free)} are free: '
            'take a smaller --outscale, or cut the image into parts'
        )


def bytes_needed(layers: Layers, scale: int, size: tuple[int, int], frames: int) -> int:
    """The bytes that the enlarged image takes at the most at one time, its encoding included."""
    height, width = layers.color.shape[:2]
    channels = 3 if layers.alpha is None else 4
    own = layers.color.dtype.itemsize
    by_network = height * width * scale**2 * 3 * own
    resized = 0 if size == (height * scale, width * scale) else 2 * np.dtype(np.float32).itemsize
    result = math.prod(size) * channels * own
    return by_network + math.prod(size) * resized + result * (frames + COPIES)


def describe_disk(needed: int, folder: Path) -> str:
    """Says that a disk may not hold results; '' where it does even if nothing is compressed.

    Args:
      needed: bytes of the results, uncompressed.
      folder: that they go into.
    """
    free = shutil.disk_usage(folder).free
    if needed <= free:
        return ''
    return (
        f'the results take up to {in_words(needed)}, uncompressed, and {folder} has '
        f'{in_words(free)} left'
    )
