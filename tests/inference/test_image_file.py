"""An image file through a network into another: how far it is, and that it can be ended."""

import jax
import pytest
from PIL import Image
from tiny_networks import repeating

from sr_jax.images.files import image_size
from sr_jax.inference.image_file import enlarge_file
from sr_jax.inference.upscaler import Upscaler


@pytest.fixture(scope='module')
def upscaler():
    return Upscaler(repeating(), tile=24, devices=jax.devices()[:1])


@pytest.fixture
def moving(tmp_path):
    """An animation of three frames of 22 x 31 pixels, as a file."""
    frames = [Image.new('RGB', (31, 22), color) for color in ('red', 'green', 'blue')]
    frames[0].save(tmp_path / 'a.gif', save_all=True, append_images=frames[1:])
    return tmp_path / 'a.gif'


def test_windows_of_all_frames_are_counted(upscaler, moving):
    seen = []
    target = moving.with_name('b.png')
    outline = enlarge_file(moving, target, upscaler, progress=lambda *now: seen.append(now))
    assert (outline.size, outline.frames) == ((22, 31), 3)
    count = seen[-1][1]
    assert count % 3 == 0
    assert seen == [(done, count) for done in range(1, count + 1)]
    assert image_size(target) == (44, 62)


def test_what_progress_raises_ends_it(upscaler, moving):
    class Enough(Exception):
        pass

    def stop(done, count):
        if done == 2:
            raise Enough

    with pytest.raises(Enough):
        enlarge_file(moving, moving.with_name('b.png'), upscaler, progress=stop)
    assert [path.name for path in moving.parent.iterdir()] == ['a.gif']


def test_what_is_left_out_is_said_once(upscaler, tmp_path):
    said, exif = [], Image.Exif()
    exif[0x010E] = 'a description'
    Image.new('RGB', (5, 7)).save(tmp_path / 'a.png', exif=exif)
    enlarge_file(tmp_path / 'a.png', tmp_path / 'b.gif', upscaler, 3, report=said.append)
    assert image_size(tmp_path / 'b.gif') == (21, 15)
    (line,) = said
    assert line.startswith('left out: EXIF, XMP')
