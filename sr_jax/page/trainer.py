"""Training as a job of the page: a process of its own, which stops with a checkpoint."""

import ast
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from sr_jax.errors import InputError
from sr_jax.page.jobs import Cancelled, Job
from sr_jax.page.page import Page

TRAIN = 'train'
NAME = re.compile(r'\w[\w.-]{0,63}')
STEP = re.compile(r'step (\d+)/(\d+)')
EVERY = 0.3  # seconds
PATIENCE = 120.0  # seconds in which a process that was told to stop writes its checkpoint


def list_experiments(configs: Path) -> list[str]:
    """The configs in a folder with their variants, as 'vqvae:demo'; none of them is run."""
    found = []
    for path in sorted(configs.glob('[a-z]*.py')) if configs.is_dir() else ():
        found += [f'{path.stem}:{variant}' for variant in _read_variants(path)]
    return found


def start(page: Page, owner: str, experiment: str, name: str, steps: int) -> None:
    """Has a run trained, or one that is there gone on with.

    Args:
      page: whose folders they are in.
      owner: who asks.
      experiment: one of `list_experiments`.
      name: of the run.
      steps: updates of the whole run; 0: as the config says.

    Raises:
      InputError: there is no such config, the name cannot be one, or too many jobs wait.
    """
    experiments = list_experiments(page.configs)
    if not experiments:
        raise InputError('there are no configs here: sr-jax app --configs names their folder')
    if experiment not in experiments:
        raise InputError(f'no config is called {experiment!r} here: choose one of the list')
    if not NAME.fullmatch(name):
        raise InputError(f'{name!r} is no name of a run: take letters, numbers, - and _')
    if not 0 <= steps < 2**31:
        raise InputError(f"{steps} are no steps: take a number from 1 on, or 0 for the config's")
    stem, _, variant = experiment.partition(':')
    command = [sys.executable, '-m', 'sr_jax', 'train', '--config']
    command += [f'{page.configs / stem}.py:{variant}', '--workdir', str(page.runs / name)]
    command += [f'--config.train.steps={steps}'] if steps else []

    def work(job: Job) -> dict[str, Any]:
        log = page.store.place(f'{name}.log')
        try:
            follow(job, command, log.path)
        finally:
            page.store.remove(log.id)
        return {'run': name}

    page.submit(owner, [Job(owner, TRAIN, name, work)])


def follow(job: Job, command: list[str], log: Path) -> None:
    """Runs a training until it ends, or until the job is to end.

    Args:
      job: is told how far it is.
      command: of the training.
      log: for what it says.

    Raises:
      InputError: it ended with an error.
      Cancelled: it was stopped; its checkpoint is written.
    """
    with log.open('wb') as file:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT
        )
    try:
        while process.poll() is None:
            job.show(*_read_step(log))
            time.sleep(EVERY)
    except Cancelled:
        process.send_signal(signal.SIGTERM)
        job.message = 'stopping: the checkpoint is being written'
        process.wait(PATIENCE)
        raise
    finally:
        process.kill()
        process.wait()
    if process.returncode < 0 or process.returncode == 128 + signal.SIGTERM:
        raise Cancelled
    if process.returncode:
        raise InputError(_last_line(log).removeprefix('error: '))


def _read_variants(path: Path) -> list[str]:
    """The tuple VARIANTS of a config, without running it."""
    for node in ast.parse(path.read_text(encoding='utf-8')).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == 'VARIANTS':
            return list(ast.literal_eval(node.value))
    return []


def _read_step(log: Path) -> tuple[int, int, str]:
    """How many steps are done, of how many, and the last line."""
    line = _last_line(log)
    found = STEP.match(line)
    return (int(found[1]), int(found[2]), line) if found else (0, 0, line)


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding='utf-8', errors='replace').splitlines()
    return next((line for line in reversed(lines) if line.strip()), '')
