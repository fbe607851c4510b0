import os
import subprocess
import sys

import jax
import kept
import pytest


def test_the_longest_files_come_first(tmp_path, monkeypatch):
    monkeypatch.setattr(kept, 'HEAVIEST', ('tests/c.py', 'tests/b.py'))
    names = ['tests/a.py::x', 'tests/a.py::y', 'tests/b.py::x', 'tests/c.py::x', 'tests/d.py::x']
    known = {'tests/a.py::x': 2.0, 'tests/a.py::y': 3.0, 'tests/d.py::x': 4.0, 'tests/e.py::z': 9.0}
    ranks = kept.rank_files(names, known)
    order = ['tests/a.py', 'tests/d.py', 'tests/c.py', 'tests/b.py']
    assert sorted(ranks, key=ranks.get) == order


def test_durations_are_written_over_those_of_earlier_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(kept, 'FOLDER', tmp_path / 'new')
    monkeypatch.setattr(kept, 'DURATIONS', tmp_path / 'new' / 'durations.json')
    assert kept.read_durations() == {}
    kept.keep_durations({'a': 1.004, 'b': 2.0})
    kept.keep_durations({'b': 3.0})
    assert kept.read_durations() == {'a': 1.0, 'b': 3.0}
    kept.DURATIONS.write_text('{"a": ')
    assert kept.read_durations() == {}


def test_the_heaviest_files_are_there():
    missing = [name for name in kept.HEAVIEST if not (kept.FOLDER.parent / name).exists()]
    assert not missing


@pytest.mark.parametrize('given', [None, 'elsewhere'])
def test_what_one_process_has_compiled_another_one_reads(given, tmp_path):
    environment = {} if given is None else {'JAX_COMPILATION_CACHE_DIR': given}
    kept.keep_programs(environment)
    assert environment['JAX_COMPILATION_CACHE_DIR'] == (given or str(kept.PROGRAMS))
    environment['JAX_COMPILATION_CACHE_DIR'] = str(tmp_path)
    program = (
        'import jax, sys; found = [];'
        'jax.monitoring.register_event_listener(lambda event, **_: found.append(event));'
        'jax.jit(lambda x: 3 * x + 1)(2.0);'
        "print('/jax/compilation_cache/cache_hits' in found)"
    )
    for hit in ('False', 'True'):
        command = [sys.executable, '-W', 'error', '-c', program]
        done = subprocess.run(
            command, env=os.environ | environment, capture_output=True, text=True, check=True
        )
        assert done.stdout.split() == [hit]
        assert not done.stderr


def test_jax_keeps_what_these_tests_compile():
    assert jax.config.jax_compilation_cache_dir == os.environ['JAX_COMPILATION_CACHE_DIR']
    assert jax.config.jax_persistent_cache_min_compile_time_secs == 0
