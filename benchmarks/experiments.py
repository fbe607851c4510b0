"""What all experiments share: training a row of a table once, and reading what it has left."""

import json
import statistics
import time
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import jax

from sr_jax.commands import train

ROOT = Path(__file__).resolve().parents[1]


def train_once(config: str, changes: Mapping[str, Any], workdir: Path) -> None:
    """Trains as `python -m sr_jax.main` does, unless that has been done; raises SystemExit.

    In this process, which need not start anew for each of many short runs. What is said lies
    beside the run.

    Args:
      config: its file below the repository, with its variant, if it has one.
      changes: of its keys, by their names without 'config.'.
      workdir: of the run.
    """
    if complete(workdir):
        return
    flags = [f'--config.{key}={value!s}' for key, value in changes.items()]
    words = ['train', '--config', str(ROOT / config), *flags, '--workdir', str(workdir)]
    workdir.parent.mkdir(parents=True, exist_ok=True)
    began, path = time.time(), workdir.with_suffix('.log')
    with path.open('a') as log, redirect_stdout(log), redirect_stderr(log):
        status = train.main(words)
    if status:
        raise SystemExit(f'{path} says why it has ended')
    jax.clear_caches()  # its programs are no other run's
    print(f'{workdir.name}: {time.time() - began:.0f} s', flush=True)


def records(workdir: Path, event: str) -> dict[int, dict[str, float]]:
    """The last record of an event by step, from a run's `metrics.jsonl`; empty without one."""
    path = workdir / 'metrics.jsonl'
    if not path.exists():
        return {}
    lines = (json.loads(line) for line in path.read_text().splitlines())
    return {line['step']: line for line in lines if line['event'] == event}


def complete(workdir: Path) -> bool:
    """Whether a run has been validated after its last step."""
    if not (workdir / 'config.json').exists():
        return False
    steps = json.loads((workdir / 'config.json').read_text())['train']['steps']
    return steps in records(workdir, 'validation') and (workdir / 'checkpoints').exists()


def spread(values: list[float], digits: int = 2) -> str:
    """Mean and sample standard deviation in words."""
    mean = f'{statistics.mean(values):.{digits}f}'
    return mean if len(values) < 2 else f'{mean} ± {statistics.stdev(values):.{digits}f}'
