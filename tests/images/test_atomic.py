"""Files that appear whole: what those leave that were killed."""

import os
import subprocess
import sys

import pytest

from sr_jax.images import atomic


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path):
    path = tmp_path / 'film [1].mkv'
    ended = subprocess.Popen([sys.executable, '-c', ''])
    ended.wait()
    left = tmp_path / f'.film [1].mkv.{ended.pid}.partial'
    others = [
        tmp_path / f'.film [1].mkv.{os.getpid()}.partial',
        tmp_path / f'.film 1.mkv.{ended.pid}.partial',
        tmp_path / '.film [1].mkv.old.partial',
    ]
    for each in (left, *others):
        each.touch()
    atomic.remove_left_over([tmp_path / 'b.png', path])
    assert sorted(tmp_path.iterdir()) == sorted(others)


@pytest.mark.parametrize('length', [200, 201, 255])
def test_a_long_name_can_be_written_and_its_left_over_removed(length, tmp_path):
    path = tmp_path / ('\u00e4' * (length // 2) + 'x' * (length % 2))
    ended = subprocess.Popen([sys.executable, '-c', ''])
    ended.wait()
    atomic.beside(path, f'{ended.pid}.partial').touch()
    atomic.write(path, b'whole')
    atomic.remove_left_over([path])
    assert list(tmp_path.iterdir()) == [path] and path.read_bytes() == b'whole'
    assert atomic.beside(path, 'a') != atomic.beside(path.with_name('y' * length), 'a')


def test_of_a_folder_that_is_removed_only_rubbish_can_stay(tmp_path, monkeypatch):
    place, folder = tmp_path / 'film.mkv', tmp_path / '.film.mkv.parts'
    folder.mkdir()
    (folder / '000003.json').touch()

    def die(path, **_):
        if path.exists():
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(atomic.shutil, 'rmtree', die)
        with pytest.raises(KeyboardInterrupt):
            atomic.remove_folder(folder, place)
    assert not folder.exists() and len(list(tmp_path.iterdir())) == 1
    atomic.remove_left_over([place])  # this process still runs
    assert len(list(tmp_path.iterdir())) == 1
    monkeypatch.setattr(atomic, '_is_running', lambda process: False)
    atomic.remove_left_over([place])
    assert not list(tmp_path.iterdir())
