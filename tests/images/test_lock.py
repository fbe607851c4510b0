"""One process at a time writes in a place."""

import errno
import fcntl
import os
import pathlib
import re
import subprocess
import sys

import pytest

import sr_jax
from sr_jax.errors import InputError
from sr_jax.images.lock import hold


def refused(path, place):
    return pytest.raises(
        InputError,
        match=rf'another job writes {place} \(process {os.getpid()} of .*\): wait until it has '
        'ended, or take another --output',
    )


def test_one_at_a_time_and_nothing_stays(tmp_path):
    path = tmp_path / '.running'
    for _ in range(2):
        with hold(path, tmp_path, print):
            with refused(path, tmp_path), hold(path, tmp_path, print):
                pass
            with refused(path, tmp_path), hold(path, tmp_path, print, shared=True):
                pass
    assert list(tmp_path.iterdir()) == []


def test_those_who_share_it_keep_others_out_until_the_last_has_ended(tmp_path):
    path = tmp_path / '.running'
    with hold(path, tmp_path, print, shared=True):
        with hold(path, tmp_path, print, shared=True):
            pass
        with refused(path, tmp_path), hold(path, tmp_path, print):
            pass
    with hold(path, tmp_path, print):
        pass
    assert list(tmp_path.iterdir()) == []


def test_it_goes_with_a_process_that_is_killed(tmp_path):
    path = tmp_path / '.running'
    holding = (
        'import sys, pathlib; from sr_jax.images.lock import hold\n'
        'path = pathlib.Path(sys.argv[1])\n'
        'with hold(path, path.parent, print): print("held", flush=True); sys.stdin.read()'
    )
    with subprocess.Popen(
        [sys.executable, '-c', holding, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=pathlib.Path(sr_jax.__file__).parents[1],
    ) as other:
        assert other.stdout.readline() == b'held\n'
        message = f'process {other.pid} of'
        with pytest.raises(InputError, match=message), hold(path, tmp_path, print):
            pass
        other.kill()
    assert path.exists()
    with hold(path, tmp_path, print):
        pass
    assert not path.exists()


def test_a_lock_removed_while_it_was_opened_is_taken_anew(tmp_path, monkeypatch):
    path = tmp_path / '.running'
    flock, calls = fcntl.flock, []

    def lose_the_first(file, kind):
        calls.append(kind)
        if len(calls) == 1:
            path.unlink()
        flock(file, kind)

    monkeypatch.setattr(fcntl, 'flock', lose_the_first)
    with hold(path, tmp_path, print), refused(path, tmp_path), hold(path, tmp_path, print):
        pass


def test_a_disk_without_locks_is_named(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, 'No locks available')

    monkeypatch.setattr(fcntl, 'flock', refuse)
    said = []
    with hold(tmp_path / '.running', tmp_path, said.append):
        pass
    assert said == [
        f'{tmp_path} cannot be locked (No locks available): write nothing else there meanwhile'
    ]


def test_a_full_disk_is_named_and_nothing_stays(tmp_path, monkeypatch):
    def write(number, data):
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(os, 'write', write)
    path = tmp_path / '.running'
    with pytest.raises(OSError, match=str(path)), hold(path, tmp_path, print):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    message = re.escape('absent cannot be written: No such file or directory')
    absent = tmp_path / 'absent'
    with pytest.raises(InputError, match=message), hold(absent / '.running', absent, print):
        pass
