"""LMDB databases of images, written as BasicSR's are."""

import io
import pathlib

import lmdb
import numpy as np
from PIL import Image

from sr_jax.data.sources.lmdb import META


def write_lmdb(path: pathlib.Path, images: dict[str, np.ndarray], level: int = 1) -> pathlib.Path:
    """Writes images by their keys as PNGs, and meta_info.txt beside them; returns the path."""
    lines = ''
    with lmdb.open(str(path), map_size=2**24) as database, database.begin(write=True) as writing:
        for key, pixels in images.items():
            file = io.BytesIO()
            Image.fromarray(pixels).save(file, 'PNG', compress_level=level)
            writing.put(key.encode(), file.getvalue())
            height, width, channels = (*pixels.shape, 1)[:3]
            lines += f'{key}.png ({height},{width},{channels}) {level}\n'
    (path / META).write_text(lines)
    return path
