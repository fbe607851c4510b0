"""The choice of a Python, among interpreters that only claim to be one."""

import os
import pathlib
import subprocess

import pytest

SCRIPT = pathlib.Path(__file__).parents[2] / 'tools' / 'find_python.sh'

# What the script's short program does in a good Python, in one without venv, in pyenv's shim of a
# version that is not active, and in a file that is no program.
GOOD = '#!/bin/sh\necho {version}\n'
WITHOUT_VENV = '#!/bin/sh\necho "No module named venv" >&2\nexit 1\n'
SHIM = '#!/bin/sh\necho "pyenv: python{version}: command not found" >&2\nexit 127\n'
BROKEN = 'not a program'


def put(path: pathlib.Path, content: str, version: str = '') -> str:
    """Writes an interpreter and returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content.format(version=version))
    path.chmod(0o755)
    return str(path)


def find(root: pathlib.Path, *folders: str, versions: str = '') -> subprocess.CompletedProcess:
    """Runs the script with only these folders on the PATH, and pyenv in `root/pyenv`."""
    environment = {
        'PATH': os.pathsep.join(str(root / folder) for folder in folders),
        'PYENV_ROOT': str(root / 'pyenv'),
    }
    command = ['/bin/sh', SCRIPT, *([versions] if versions else [])]
    return subprocess.run(command, env=environment, capture_output=True, text=True, cwd=root)


def test_the_newest_wins_wherever_it_lies(tmp_path: pathlib.Path):
    put(tmp_path / 'a/python3.11', GOOD, '3.11')
    newest = put(tmp_path / 'b/python3.13', GOOD, '3.13')
    put(tmp_path / 'b/python3.12', GOOD, '3.12')
    assert find(tmp_path, 'a', 'b').stdout.splitlines() == [newest]


@pytest.mark.parametrize('bad', [SHIM, WITHOUT_VENV, BROKEN])
def test_one_that_does_not_run_is_passed_over(tmp_path: pathlib.Path, bad: str):
    put(tmp_path / 'a/python3.13', bad, '3.13')
    good = put(tmp_path / 'a/python3.12', GOOD, '3.12')
    assert find(tmp_path, 'a').stdout.splitlines() == [good]


def test_a_good_one_behind_a_bad_one_of_the_same_name_is_found(tmp_path: pathlib.Path):
    put(tmp_path / 'a/python3.13', SHIM, '3.13')
    good = put(tmp_path / 'b/python3.13', GOOD, '3.13')
    assert find(tmp_path, 'a', 'b').stdout.splitlines() == [good]


def test_a_version_of_pyenv_that_is_not_active_is_found(tmp_path: pathlib.Path):
    put(tmp_path / 'a/python3.13', SHIM, '3.13')
    put(tmp_path / 'a/python3.11', GOOD, '3.11')
    hidden = put(tmp_path / 'pyenv/versions/3.13.0/bin/python3.13', GOOD, '3.13')
    assert find(tmp_path, 'a').stdout.splitlines() == [hidden]


def test_a_plain_python3_counts_by_what_it_says_it_is(tmp_path: pathlib.Path):
    put(tmp_path / 'a/python3', GOOD, '3.10')
    good = put(tmp_path / 'a/python', GOOD, '3.12')
    assert find(tmp_path, 'a').stdout.splitlines() == [good]


def test_an_untried_version_is_the_last_choice(tmp_path: pathlib.Path):
    untried = put(tmp_path / 'a/python3.14', GOOD, '3.14')
    assert find(tmp_path, 'a').stdout.splitlines() == [untried]
    tried = put(tmp_path / 'a/python3.11', GOOD, '3.11')
    assert find(tmp_path, 'a').stdout.splitlines() == [tried]


def test_a_folder_with_a_space_is_no_hindrance(tmp_path: pathlib.Path):
    good = put(tmp_path / 'my programs/python3.13', GOOD, '3.13')
    assert find(tmp_path, 'my programs').stdout.splitlines() == [good]


def test_a_version_can_be_asked_for(tmp_path: pathlib.Path):
    put(tmp_path / 'a/python3.13', GOOD, '3.13')
    old = put(tmp_path / 'a/python3.11', GOOD, '3.11')
    assert find(tmp_path, 'a', versions='3.11').stdout.splitlines() == [old]
    assert find(tmp_path, 'a', versions='3.12 3.11').stdout.splitlines() == [old]
    none = find(tmp_path, 'a', versions='3.12')
    assert none.returncode == 1 and 'found no Python 3.12 that runs' in none.stderr


def test_none_is_said_clearly(tmp_path: pathlib.Path):
    put(tmp_path / 'a/python3', GOOD, '3.10')
    result = find(tmp_path, 'a', 'missing')
    assert result.returncode == 1
    assert result.stdout == ''
    assert result.stderr.startswith('error: found no Python 3.11 to 3.14 that runs')
    assert 'BASE_PYTHON' in result.stderr
