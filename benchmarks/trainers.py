"""Trainers as processes of their own, small ones, and what they have left.

For the trials of `faults.py`, and for the tests of several processes.
"""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
TINY = {
    'model.channels': 8,
    'model.num_res_blocks': 1,
    'model.res_channels': 4,
    'model.codebook_size': 16,
    'model.codebook_dim': 4,
    'data.crop_size': 16,
    'data.validation_crops': 8,
    'train.batch_size': 4,
    'train.steps': 120,
    'evaluation.every': 10_000,
    'evaluation.batch_size': 8,
    'checkpoint.every': 3,
    'log.every': 1,
    'log.samples': 0,
}


def environment(cache: Path) -> dict[str, str]:
    """Returns the environment of a trainer on one CPU device that keeps its compilations."""
    changes = {
        'JAX_PLATFORMS': 'cpu',
        'XLA_FLAGS': '--xla_backend_optimization_level=0',  # quickly compiled, to slower code
        'JAX_COMPILATION_CACHE_DIR': str(cache),
        'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0',
        'PYTHONPATH': os.pathsep.join(map(str, (ROOT, ROOT / 'tests'))),
        'PYTHONUNBUFFERED': '1',
    }
    return os.environ | changes


def start(
    workdir: Path,
    cache: Path,
    *arguments: str,
    config: str = 'configs/vqvae.py:demo',
    log: Path | None = None,
    within: Sequence[str] = (),
) -> subprocess.Popen:
    """Starts a trainer; its output goes to the end of `log`, by default `<workdir>.log`.

    `within` are words to put before the command, which run it somewhere else.
    """
    words = [
        *within,
        sys.executable,
        '-m',
        'sr_jax.main',
        '--config',
        config,
        '--workdir',
        str(workdir),
    ]
    with (log or Path(f'{workdir}.log')).open('a') as output:
        return subprocess.Popen(
            [*words, *arguments], cwd=ROOT, env=environment(cache), stdout=output, stderr=output
        )


def start_together(
    count: int,
    workdir: Path,
    cache: Path,
    *arguments: str,
    config: str = 'configs/vqvae.py:demo',
    last: Sequence[str] = (),
) -> list[subprocess.Popen]:
    """Starts so many processes of a run; of several, process i writes `<workdir>.<i>.log` anew.

    The last of several gets the flags `last` besides, which override those before.
    """
    if count == 1:
        return [start(workdir, cache, *arguments, config=config)]
    with socket.socket() as free:
        free.bind(('localhost', 0))
        meeting = f'--coordinator=localhost:{free.getsockname()[1]}'
    started = []
    for i in range(count):
        own, log = (f'--processes={count}', f'--process={i}'), Path(f'{workdir}.{i}.log')
        log.unlink(missing_ok=True)
        flags = (meeting, *own, *arguments, *(last if i == count - 1 else ()))
        started.append(start(workdir, cache, *flags, config=config, log=log))
    return started


def wait_for_a_save(workdir: Path, processes: Sequence[subprocess.Popen]) -> None:
    """Returns when a run has a checkpoint, or one of its processes has ended."""
    while not saved_steps(workdir) and all(p.poll() is None for p in processes):
        time.sleep(0.05)


def tiny(**changes: Any) -> list[str]:
    """Returns the flags of a run of seconds; `train__steps=6` sets train.steps."""
    values = TINY | {key.replace('__', '.'): value for key, value in changes.items()}
    return [f'--config.{key}={value}' for key, value in values.items()]


def losses(workdir: Path) -> list[tuple[int, float]]:
    """Returns the step and the loss of every whole line that a run has logged."""
    path = workdir / 'metrics.jsonl'
    if not path.exists():
        return []
    lines = [line for line in path.read_text().splitlines() if line.endswith('}')]
    records = [json.loads(line) for line in lines if line.count('{') == line.count('}') == 1]
    return [(r['step'], r['loss']) for r in records if r['event'] == 'train']


def saved_steps(workdir: Path) -> list[int]:
    """Returns the steps of the checkpoints that bear their final name."""
    return sorted(int(p.name) for p in workdir.glob('checkpoints/*') if p.name.isdigit())


def contents(workdir: Path, step: int) -> tuple[list[np.ndarray], dict[str, Any]]:
    """Returns all arrays of a checkpoint, the random key among them, and where the data was."""
    import jax

    from sr_jax import tasks
    from sr_jax.checkpoints.manager import Checkpoints
    from sr_jax.checkpoints.run import abstract_tree
    from sr_jax.devices import sharding

    found = Checkpoints(workdir)
    mesh = sharding.make_mesh(jax.devices()[:1])
    whole = found.restore(
        step, lambda config: abstract_tree(tasks.make(config), mesh)
    )
    found.close()
    return jax.device_get(jax.tree.leaves(whole.tree)), whole.data


def same(first: tuple[list[np.ndarray], Any], second: tuple[list[np.ndarray], Any]) -> bool:
    """Returns whether two `contents` are equal, bit for bit."""
    pairs = zip(first[0], second[0], strict=True)
    return first[1] == second[1] and all(a.tobytes() == b.tobytes() for a, b in pairs)
