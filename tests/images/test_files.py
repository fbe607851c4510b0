import os
import pathlib
import subprocess

import numpy as np
import pytest

from sr_jax.errors import InputError
from sr_jax.images.contact_sheet import grid
from sr_jax.images.files import list_images, load_image, read_image, save_image

IMAGE = np.random.default_rng(0).integers(0, 256, (9, 7, 3)).astype(np.float32) / 255


def test_a_png_comes_back_as_it_was(tmp_path):
    save_image(tmp_path / 'a.png', IMAGE)
    read = load_image(tmp_path / 'a.png')
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, IMAGE)
    assert read_image(str(tmp_path / 'a.png')).dtype == np.uint8


@pytest.mark.parametrize('name', ['a.jpg', 'a.JPEG'])
def test_a_jpeg_comes_back_alike(tmp_path, name):
    smooth = np.linspace(0, 1, 24 * 40 * 3, dtype=np.float32).reshape(24, 40, 3)
    save_image(tmp_path / name, smooth)
    assert (tmp_path / name).read_bytes()[:2] == b'\xff\xd8'
    assert np.abs(load_image(tmp_path / name) - smooth).max() < 0.03


def test_nothing_but_the_image_is_left_and_others_may_read_it(tmp_path):
    save_image(tmp_path / 'a.png', IMAGE)
    save_image(tmp_path / 'a.png', IMAGE[::-1])
    assert os.listdir(tmp_path) == ['a.png']
    np.testing.assert_array_equal(load_image(tmp_path / 'a.png'), IMAGE[::-1])
    (tmp_path / 'plain').touch()
    assert (tmp_path / 'a.png').stat().st_mode == (tmp_path / 'plain').stat().st_mode


def test_a_failed_write_leaves_the_old_image(tmp_path, monkeypatch):
    save_image(tmp_path / 'a.png', IMAGE)

    def full(self, data):
        with open(self, 'wb') as file:
            file.write(data[: len(data) // 2])
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(pathlib.Path, 'write_bytes', full)
    with pytest.raises(InputError, match=r'a\.png cannot be written: No space left on device'):
        save_image(tmp_path / 'a.png', 1 - IMAGE)
    assert os.listdir(tmp_path) == ['a.png']
    np.testing.assert_array_equal(load_image(tmp_path / 'a.png'), IMAGE)


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(InputError, match=r'a\.png cannot be written: No such file'):
        save_image(tmp_path / 'nowhere' / 'a.png', IMAGE)


@pytest.mark.parametrize('name', ['a.heic', 'a'])
def test_another_suffix_is_an_error(tmp_path, name):
    with pytest.raises(InputError, match=r'written as \.png, \.jpg'):
        save_image(tmp_path / name, IMAGE)


@pytest.mark.parametrize('name', ['missing.png', ''])
def test_a_file_that_cannot_be_opened_is_named(tmp_path, name):
    with pytest.raises(InputError, match=str(tmp_path / name)):
        load_image(tmp_path / name)


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / 'a.jpg').write_bytes(b'\xff\xd8\xff\xe0 and no more')
    with pytest.raises(InputError, match=str(tmp_path / 'a.jpg')):
        load_image(tmp_path / 'a.jpg')


def test_a_grid_has_a_row_for_each_image():
    inputs = np.full((3, 2, 4, 3), 0.25, np.float32)
    outputs = np.full((3, 2, 4, 3), 0.75, np.float32)
    sheet = grid([inputs, outputs], separator=1)
    assert sheet.shape == (3 * 2 + 2, 2 * 4 + 1, 3)
    assert sheet.dtype == np.float32
    row = np.array([0.25] * 4 + [1] + [0.75] * 4)
    expected = np.stack([row, row, np.ones(9)] * 3)[:-1]
    np.testing.assert_array_equal(sheet, np.repeat(expected[..., None], 3, axis=2))


def test_a_grid_keeps_the_images_as_they_are():
    images = np.random.default_rng(0).random((2, 5, 4, 3), np.float32)
    sheet = grid([images, 1 - images])
    np.testing.assert_array_equal(sheet[7:12, :4], images[1])
    np.testing.assert_array_equal(sheet[7:12, 6:], 1 - images[1])
    np.testing.assert_array_equal(grid([images[:1]], separator=0), images[0])


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_images_are_found_below_in_order(tmp_path):
    touch(tmp_path, 'b.JPG', 'a.png', 'deep/er/c.WebP', 'deep/d.tiff', 'e.bmp', 'f.Tif', 'g.jpeg')
    touch(tmp_path, 'notes.txt', 'png', '.hidden.png', '.hidden/z.png', 'deep/h.png.part')
    found = list_images(str(tmp_path))
    names = [path.relative_to(tmp_path).as_posix() for path in found]
    expected = ['a.png', 'b.JPG', 'deep/d.tiff', 'deep/er/c.WebP', 'e.bmp', 'f.Tif', 'g.jpeg']
    assert names == expected


def test_linked_folders_are_followed_once(tmp_path):
    touch(tmp_path, 'here/a.png', 'elsewhere/b.png')
    (tmp_path / 'here' / 'linked').symlink_to(tmp_path / 'elsewhere')
    (tmp_path / 'here' / 'loop').symlink_to(tmp_path / 'here')
    found = list_images(tmp_path / 'here')
    assert found == [tmp_path / 'here' / 'a.png', tmp_path / 'here' / 'linked' / 'b.png']


def test_a_folder_that_is_none_is_an_error(tmp_path):
    touch(tmp_path, 'a.png')
    with pytest.raises(InputError, match=r'a\.png: is a file, not a folder'):
        list_images(tmp_path / 'a.png')
    with pytest.raises(InputError, match=r'nowhere: no such folder'):
        list_images(tmp_path / 'nowhere')


def test_a_folder_that_cannot_be_read_is_an_error(tmp_path, monkeypatch):
    touch(tmp_path, 'a.png', 'locked/b.png')
    scandir = os.scandir

    def refuse(path):
        if pathlib.Path(path).name == 'locked':
            raise PermissionError(13, 'Permission denied', str(path))
        return scandir(path)

    monkeypatch.setattr(os, 'scandir', refuse)
    with pytest.raises(InputError, match=r'locked: the folder cannot be read: Permission denied'):
        list_images(tmp_path)


def test_a_full_disk_is_an_error(tmp_path):
    mount = subprocess.run(
        ['mount', '-t', 'tmpfs', '-o', 'size=16k', 'tmpfs', str(tmp_path)], capture_output=True
    )
    if mount.returncode:
        pytest.skip('mounting a tiny disk takes privileges')
    try:
        noise = np.random.default_rng(0).random((96, 160, 3), np.float32)
        with pytest.raises(InputError, match=r'a\.png cannot be written: No space left'):
            save_image(tmp_path / 'a.png', noise)
        assert os.listdir(tmp_path) == []
    finally:
        subprocess.run(['umount', str(tmp_path)], check=True)
