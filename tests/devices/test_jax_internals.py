"""What `sr_jax.devices.jax_internals` needs of JAX: where one of these fails, JAX has changed."""

import inspect
import json
import re
import socket
import subprocess
import sys
from pathlib import Path

import jax
import pytest

ROOT = Path(__file__).parents[2]
# The latter for a rule that JAX 0.12 asks of jax-triton, which has a test of its own.
ALONE = ('sr_jax/devices/jax_internals.py', 'kernels/gpu/jax_triton.py')
# A process that is all there is of a run, and uses the store as `heartbeat` does.
PROGRAM = """
import json, sys
import jax
from sr_jax.devices.jax_internals import read_runtime
jax.distributed.initialize(sys.argv[1], 1, 0, cluster_detection_method='deactivate')
runtime = read_runtime()
runtime.client.wait_at_barrier('room/begin', 5000)
for text in ('first', 'second'):
    runtime.client.key_value_set('room/alive/0', text, allow_overwrite=True)
found = runtime.client.key_value_dir_get('room/alive/')
print(json.dumps([runtime.coordinator, runtime.process, runtime.processes, found]))
jax.distributed.shutdown()
"""


def test_the_state_of_the_runtime_is_where_it_was():
    from jax._src import distributed

    needed = ('client', 'coordinator_address', 'process_id', 'num_processes')
    missing = [name for name in needed if not hasattr(distributed.global_state, name)]
    assert not missing, f'jax._src.distributed.global_state of {jax.__version__} lacks {missing}'


def test_the_store_takes_and_gives_texts_as_the_heartbeat_uses_it():
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        address = f'127.0.0.1:{free.getsockname()[1]}'
    command = [sys.executable, '-c', PROGRAM, address]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [address, 0, 1, [['room/alive/0', 'second']]]


def test_the_public_doors_take_what_we_give_them():
    needed = {
        *('coordinator_address', 'num_processes', 'process_id', 'cluster_detection_method'),
        *('initialization_timeout', 'heartbeat_timeout_seconds'),
    }
    there = inspect.signature(jax.distributed.initialize).parameters
    assert needed <= set(there), f'jax.distributed.initialize takes no {needed - set(there)}'
    for name in ('jax_cpu_collectives_implementation', 'jax_enable_preemption_service'):
        assert hasattr(jax.config, name), f'JAX {jax.__version__} has no setting {name}'


@pytest.mark.parametrize('folder', ['sr_jax', 'kernels', 'configs'])
def test_nothing_else_imports_from_inside_of_jax(folder):
    private = re.compile(r'^\s*(from|import) (jax\._src|jaxlib)\b', re.MULTILINE)
    found = [path for path in (ROOT / folder).rglob('*.py') if private.search(path.read_text())]
    names = {path.relative_to(ROOT).as_posix() for path in found}
    assert names == {name for name in ALONE if name.startswith(folder)}
