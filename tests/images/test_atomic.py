"""Files that appear whole: what those leave that were killed."""

import os
import subprocess
import sys

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
    atomic.remove_left_over(path)
    assert sorted(tmp_path.iterdir()) == sorted(others)
