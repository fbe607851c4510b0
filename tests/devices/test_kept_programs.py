import os
import subprocess
import sys

import pytest

from sr_jax.devices import kept_programs

# Compiles twice what is kept meanwhile, and damages it before the second time.
PROGRAM = """
import pathlib, warnings
import jax, jax.numpy as jnp
from sr_jax.devices import kept_programs
kept_programs.MIN_SECONDS = 0
kept_programs.keep_programs()
double = lambda x: jnp.tanh(2 * x)
first = jax.jit(double)(jnp.arange(5.0))
folder = pathlib.Path(jax.config.jax_compilation_cache_dir)
files = [path for path in folder.iterdir() if 'double' in path.name or 'lambda' in path.name]
assert files, list(folder.iterdir())
for path in files:
    path.write_bytes(path.read_bytes()[:40])
jax.clear_caches()
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter('always')
    again = jax.jit(double)(jnp.arange(5.0))
assert (first == again).all()
assert told, 'nothing was said of the damage'
print(folder)
"""


@pytest.fixture
def alone(monkeypatch, tmp_path):
    """An environment that names no folder, and a home of its own."""
    for name in (kept_programs.OF_JAX, kept_programs.FOLDER, 'XDG_CACHE_HOME'):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv('HOME', str(tmp_path / 'home'))


def test_the_folder_is_one_of_the_users_cache(alone, monkeypatch, tmp_path):
    assert kept_programs.find_folder() == tmp_path / 'home/.cache/sr_jax/programs'
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'xdg'))
    assert kept_programs.find_folder() == tmp_path / 'xdg/sr_jax/programs'
    monkeypatch.setenv('SR_JAX_CACHE', str(tmp_path / 'own'))
    assert kept_programs.find_folder() == tmp_path / 'own'


def test_a_machine_has_one_name_that_a_folder_can_have():
    assert kept_programs.describe_machine() == kept_programs.describe_machine()
    assert '/' not in kept_programs.describe_machine()


def test_what_was_used_longest_ago_is_removed_first(tmp_path):
    for number, size in enumerate((30, 40, 0, 50)):
        path = tmp_path / f'machine_{number % 2}' / f'program_{number}'
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b'x' * size)
        os.utime(path, (1000 + number, 1000 + number))
    kept_programs.forget_old_programs(tmp_path, 95)
    assert {path.name for path in tmp_path.glob('*/*')} == {'program_1', 'program_3'}


def test_a_folder_that_cannot_be_made_is_one_line(alone, monkeypatch, tmp_path, capsys):
    (tmp_path / 'file').touch()
    monkeypatch.setenv('SR_JAX_CACHE', str(tmp_path / 'file'))
    kept_programs.keep_programs()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith('compiled programs are not kept: ')


def test_programs_are_kept_and_damaged_ones_compiled_again(alone, monkeypatch, tmp_path):
    monkeypatch.setenv('SR_JAX_CACHE', str(tmp_path / 'own'))
    done = subprocess.run([sys.executable, '-c', PROGRAM], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / 'own' / kept_programs.describe_machine()
    assert done.stdout.strip() == str(folder)
    assert folder.stat().st_mode & 0o777 == 0o700


def test_the_folder_of_who_set_jaxs_own_is_left_alone(alone, monkeypatch, tmp_path):
    monkeypatch.setenv(kept_programs.OF_JAX, str(tmp_path / 'jax'))
    monkeypatch.setenv('SR_JAX_CACHE', str(tmp_path / 'own'))
    kept_programs.keep_programs()
    assert not (tmp_path / 'own').exists()
