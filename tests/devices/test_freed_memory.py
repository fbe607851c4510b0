"""Memory that is freed and taken again, by the pages that the system had to give."""

import os
import platform
import subprocess
import sys

import jax
import pytest

from sr_jax.devices.freed_memory import keep_freed_memory

PROGRAM = """
import resource
import sys
import jax
import jax.numpy as jnp
from sr_jax.devices.freed_memory import keep_freed_memory

if sys.argv[1] == 'kept':
    assert keep_freed_memory()
side = 2100  # four matrices on the way, 70 MB
step = jax.jit(lambda x: jnp.linalg.norm(jnp.sort(jnp.sort(x, 0)[::-1] @ x, 1)))
x = jnp.ones((side, side))
for _ in range(3):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    step(x).block_until_ready()
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(faults * resource.getpagesize() // 10**6)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='says what glibc does')
def test_a_step_takes_what_the_one_before_has_freed():
    chosen = ('XLA_FLAGS', 'JAX_NUM_CPU_DEVICES')
    environment = {k: v for k, v in os.environ.items() if k not in chosen}
    command = [sys.executable, '-c', PROGRAM]
    anew, kept = (
        int(
            subprocess.run(
                [*command, name], capture_output=True, text=True, check=True, env=environment
            ).stdout
        )
        for name in ('anew', 'kept')
    )
    assert anew >= 30
    assert kept <= 3


def test_nothing_changes_where_devices_are_chosen():
    before = jax.config.values['jax_cpu_enable_async_dispatch']
    assert not keep_freed_memory()
    assert jax.config.values['jax_cpu_enable_async_dispatch'] == before


def test_nothing_changes_with_another_c_library(monkeypatch):
    before = jax.config.values['jax_cpu_enable_async_dispatch']
    monkeypatch.delenv('XLA_FLAGS')
    monkeypatch.setattr(platform, 'libc_ver', lambda: ('', ''))
    assert not keep_freed_memory()
    assert jax.config.values['jax_cpu_enable_async_dispatch'] == before
