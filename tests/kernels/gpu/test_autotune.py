import json
from typing import NamedTuple

import jax
import jax.numpy as jnp
from sr_jax.kernels.gpu import autotune


class Settings(NamedTuple):
    factor: int = 1
    rows: int = 64


def test_a_wrong_or_failing_candidate_is_named_and_left_out(capsys):
    one = jnp.ones(3)

    def build(settings):
        if settings.rows == 7:
            raise jax.errors.JaxRuntimeError('RESOURCE_EXHAUSTED: shared memory\nmore')
        return lambda: settings.factor * one

    changes = [{'rows': 7}, {'factor': 2}, {}]
    seconds = iter([3.0])
    found = autotune.find_fastest(
        build, Settings(), changes, one, lambda call: next(seconds), threads=2
    )
    assert found == ({}, 3.0)
    printed = capsys.readouterr().out
    assert "left out: {'rows': 7}: RESOURCE_EXHAUSTED: shared memory\n" in printed
    assert "{'factor': 2}: its result is off by 1" in printed


def test_a_candidate_that_fails_when_it_runs_is_left_out(capsys):
    def build(settings):
        def call():
            if settings.rows == 32:
                raise jax.errors.JaxRuntimeError('ILLEGAL_ADDRESS')
            return jnp.ones(3)

        return call

    changes = [{'rows': 32}, {'rows': 16}]
    found = autotune.find_fastest(build, Settings(), changes, jnp.ones(3), lambda call: 2.0, 1)
    assert found == ({'rows': 16}, 2.0)
    assert "left out: {'rows': 32}: ILLEGAL_ADDRESS" in capsys.readouterr().out


def test_saving_keeps_the_other_keys(tmp_path):
    path = tmp_path / 'new' / 'gpu.json'
    autotune.save(path, {'a': {'weight_chunks': 1}, 'b': {}})
    autotune.save(path, {'b': {'weight_chunks': 2}})
    assert json.loads(path.read_text()) == {'a': {'weight_chunks': 1}, 'b': {'weight_chunks': 2}}
    assert autotune.load(path) == json.loads(path.read_text())
    assert [file.name for file in path.parent.iterdir()] == ['gpu.json']


def test_file_names_are_plain():
    assert autotune.file_name('NVIDIA H100 80GB HBM3') == 'nvidia_h100_80gb_hbm3.json'


def test_a_measure_calls_in_a_row():
    count = iter(range(100))
    measure = autotune.measure_median(rounds=3, calls=5)
    assert measure(lambda: next(count)) >= 0
    assert next(count) == 15
