"""Settings and folders of images for the tests of the data."""

import pathlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from sr_jax.config.settings import DataSettings

DEFAULTS = {
    'source': 'photos',
    'validation_source': '',
    'crop_size': 8,
    'flips': True,
    'rotations': True,
    'workers': 0,
    'cache_bytes': 2**20,
    'max_rejected': 2,
    'validation_fraction': 0.25,
    'validation_crops': 64,
}


@pytest.fixture
def make_settings() -> Callable[..., DataSettings]:
    """Returns a function that makes settings from what differs from DEFAULTS."""
    return lambda **changes: DataSettings(**{**DEFAULTS, **changes})


@pytest.fixture
def make_folder(tmp_path) -> Callable[..., pathlib.Path]:
    """Returns a function that fills a folder with PNG images of one colour of grey each."""

    def make(count: int, size: tuple[int, int] = (16, 12), name: str = 'images') -> pathlib.Path:
        folder = tmp_path / name
        folder.mkdir()
        for number in range(count):
            pixels = np.full((*size, 3), number, np.uint8)
            Image.fromarray(pixels).save(folder / f'{number:03d}.png')
        return folder

    return make


@pytest.fixture
def make_pairs(tmp_path) -> Callable[..., str]:
    """Returns a function that fills two folders, and gives their source.

    The small images are noise; a true one repeats each of their pixels `scale` times a side.
    """

    def make(
        count: int,
        size: tuple[int, int] = (9, 7),
        scale: int = 2,
        suffix: str = 'x2',
        name: str = '',
    ) -> str:
        folders = [tmp_path / f'{name}{kind}' for kind in ('hq', 'lq')]
        for folder in folders:
            (folder / 'more').mkdir(parents=True)
        for number in range(count):
            lq = np.random.default_rng(number).integers(0, 256, (*size, 3), np.uint8)
            hq = lq.repeat(scale, 0).repeat(scale, 1)
            inside = 'more/' if number % 2 else ''
            Image.fromarray(hq).save(folders[0] / f'{inside}{number:03d}.png')
            Image.fromarray(lq).save(folders[1] / f'{inside}{number:03d}{suffix}.bmp')
        return f'paired:{folders[0]}:{folders[1]}'

    return make
