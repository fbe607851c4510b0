import os
import subprocess
import sys

import jax
import pytest

from sr_jax.devices import cores

PROGRAM = """
import jax
from sr_jax.devices import cores
cores.count_cores = lambda: 3
cores.split_cpu()
print(jax.local_device_count())
"""


@pytest.mark.parametrize(
    ('said', 'expected'),
    [
        ({}, 3),
        ({'XLA_FLAGS': '--xla_cpu_multi_thread_eigen=true'}, 3),
        ({'JAX_NUM_CPU_DEVICES': '2'}, 2),
        ({'XLA_FLAGS': '--xla_force_host_platform_device_count=5'}, 5),
    ],
)
def test_each_core_is_a_device_unless_it_was_said(said, expected):
    kept = {k: v for k, v in os.environ.items() if k not in ('XLA_FLAGS', 'JAX_NUM_CPU_DEVICES')}
    done = subprocess.run(
        [sys.executable, '-c', PROGRAM], capture_output=True, text=True, env={**kept, **said}
    )
    assert (done.stdout, done.returncode) == (f'{expected}\n', 0), done.stderr


def test_devices_that_are_there_stay():
    before = jax.local_device_count()
    cores.split_cpu()
    assert jax.local_device_count() == before


def test_cores_are_those_that_may_be_used():
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        assert cores.count_cores() == 1
    finally:
        os.sched_setaffinity(0, allowed)
    assert cores.count_cores() == len(allowed)
