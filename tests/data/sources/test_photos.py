import subprocess
import sys

import numpy as np
import pytest

from sr_jax.data.sources import photos
from sr_jax.errors import InputError


@pytest.mark.parametrize('part', ['train', 'validation'])
def test_every_photograph_is_there_in_color(part):
    source = photos.open_photos(part)
    for index in range(len(source)):
        pixels = source.pixels(index)
        assert pixels.dtype == np.uint8
        assert min(pixels.shape[:2]) >= 300
        spread = np.ptp(pixels.astype(int), axis=2).mean()  # 0 for a grey image
        assert spread > 5, source.name(index)


def test_the_parts_do_not_overlap():
    assert not set(photos.PARTS['train']) & set(photos.PARTS['validation'])
    motorcycles = [sum('motorcycle' in name for name in names) for names in photos.PARTS.values()]
    assert motorcycles == [2, 0]  # two views of one scene


def test_every_photograph_is_described():
    for names in photos.PARTS.values():
        for name in names:
            assert f'    {name.split("/")[1]} ' in photos.__doc__


def test_neither_package_is_imported():
    code = (
        'import sys; from sr_jax.data.sources.photos import open_photos; open_photos("train")[0]; '
        'print([name for name in ("skimage", "sklearn") if name in sys.modules])'
    )
    run = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == '[]'


def test_a_missing_package_is_an_error(monkeypatch):
    monkeypatch.setitem(photos._FOLDERS, 'scikit-image', ('no_such_package', 'data'))
    with pytest.raises(InputError, match='pip install scikit-image'):
        photos.open_photos('train')


def test_a_missing_photograph_is_an_error(monkeypatch):
    monkeypatch.setitem(photos.PARTS, 'train', ('scikit-learn/gone.jpg',))
    with pytest.raises(InputError, match=r'gone\.jpg is missing.*scikit-learn'):
        photos.open_photos('train')
