"""Many processes on JAX's own runtime: how they meet, what they tell each other, how they part."""

import contextlib
import dataclasses
import json
import os
import sys
import time
import traceback
import uuid
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import numpy as np
from jax.experimental import multihost_utils

from sr_jax.config.serialization import differences
from sr_jax.devices import heartbeat
from sr_jax.devices.jax_internals import read_runtime
from sr_jax.errors import InputError, first_line, message_of

FLAGS = '--coordinator, --processes and --process'
SMALLEST_MESSAGE = 1024  # bytes; sizes are its doubles, so that few gathers are compiled
SHARED_FOLDER_WAIT = 30.0  # seconds that a network file system may take to show a new file


@dataclasses.dataclass(frozen=True)
class Processes:
    """Which processes train together, and how they find each other.

    Attributes:
      coordinator: 'host:port' on which process 0 listens; '' = as `detect` says.
      count: of all processes; None = as `detect` says.
      index: of this one, from 0; None = as `detect` says.
      detect: ask the surroundings (Slurm, Open MPI, mpi4py, Kubernetes, Cloud TPU), as JAX does.
      connect_timeout: seconds that the processes have to meet.
      silence: seconds without a sign of life after which a process counts as lost.
    """

    coordinator: str = ''
    count: int | None = None
    index: int | None = None
    detect: bool = False
    connect_timeout: int = 300
    silence: float = 60.0

    def __post_init__(self):
        given = (bool(self.coordinator), self.count is not None, self.index is not None)
        if any(given) and self.detect:
            raise InputError(f'--distributed finds out by itself what {FLAGS} say: leave one out')
        if any(given) and not all(given):
            raise InputError(f'{FLAGS} belong together: give all three, or --distributed alone')
        if self.coordinator and not self.coordinator.rpartition(':')[2].isdigit():
            raise InputError(
                f'--coordinator={self.coordinator}: say host:port, such as node-0:12355, the same '
                'for all processes; process 0 listens there'
            )
        if self.count is not None and self.count < 1:
            raise InputError('--processes must be at least 1')
        if self.index is not None and not 0 <= self.index < (self.count or 0):
            raise InputError(
                f'--process={self.index} must be from 0 to {(self.count or 0) - 1}, one less than '
                '--processes'
            )
        if self.connect_timeout < 1 or self.silence <= 0:
            raise InputError('--connect-timeout and --silence must be above 0')

    @property
    def together(self) -> bool:
        """Whether there is more than this process, or may be."""
        return self.detect or bool(self.coordinator)


def run_together(processes: Processes, run: Callable[[], int]) -> int:
    """Returns what `run` returns, called once all the processes have met.

    When one of them fails or is lost, so that `run` cannot end, this process ends: with a message
    that names the lost one on the standard error, and status 1.

    Raises:
      InputError: the processes do not meet; says who is missing, as far as it is known.
    """
    if not processes.together:
        return run()
    _meet(processes)
    others = heartbeat.Watch(processes.silence)
    try:
        status = run()
        others.part()
    except BaseException as error:
        others.blame(error)  # does not come back when another process is to blame
        text = message_of(error)
        if text is None:
            traceback.print_exc()
            text = ''.join(traceback.format_exception_only(error)).strip()
        else:
            print(f'error: {text}', file=sys.stderr)
        others.fail(text)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)  # an orderly exit would wait for the others, who wait for this one
    jax.distributed.shutdown()
    return status


def _meet(processes: Processes) -> None:
    """Starts JAX's runtime; on CPUs the processes exchange arrays by Gloo."""
    _keep_the_output_ours()
    jax.config.update('jax_cpu_collectives_implementation', 'gloo')
    jax.config.update('jax_enable_preemption_service', False)  # SIGTERM is noted by `stop_signals`
    try:
        with warnings.catch_warnings(), _explain_aborts(processes):
            warnings.simplefilter('ignore')  # such as of proxies: what matters is raised
            jax.distributed.initialize(
                processes.coordinator or None,
                processes.count,
                processes.index,
                cluster_detection_method=None if processes.detect else 'deactivate',
                initialization_timeout=processes.connect_timeout,
                # ours is first, and names the lost process
                heartbeat_timeout_seconds=max(10, round(4 * processes.silence)),
            )
    except (RuntimeError, ValueError, OSError) as error:
        reason = first_line(error)
        if processes.detect:
            raise InputError(
                f'--distributed: nothing here tells how many processes there are ({reason}). Start '
                f'by srun, mpirun or in a cluster that JAX knows, or give {FLAGS}'
            ) from error
        raise InputError(f'{_describe_absence(processes)} ({reason})') from error


def _describe_absence(processes: Processes) -> str:
    runtime = read_runtime()
    return (
        f'process {runtime.process} of {runtime.processes} did not meet all the others at '
        f'{runtime.coordinator} within {processes.connect_timeout} s: is process 0 running, '
        'can its port be reached, and were all of them started?'
    )


@contextlib.contextmanager
def _explain_aborts(processes: Processes) -> Iterator[None]:
    """Lets the runtime, which aborts when the processes do not meet, end in our words."""
    sys.stderr.flush()
    error_output = os.dup(2)
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 2)
    heartbeat.on_abort(lambda: _describe_absence(processes), error_output)
    try:
        yield
    finally:
        heartbeat.on_abort(str, error_output)  # says nothing: aborts take their way again
        os.dup2(error_output, 2)
        os.close(silence)


def _keep_the_output_ours() -> None:
    """Sends what libraries in C++ print, such as Gloo, to the standard error."""
    sys.stdout.flush()
    sys.stdout = os.fdopen(os.dup(1), 'w', buffering=1)
    os.dup2(2, 1)


def is_first() -> bool:
    """Returns whether this is the process that logs, and writes what is written once."""
    return jax.process_index() == 0


def gather(text: str) -> list[str]:
    """Returns what every process said, in their order; all of them must call it alike."""
    if jax.process_count() == 1:
        return [text]
    data = np.frombuffer(text.encode(), np.uint8)
    sizes = multihost_utils.process_allgather(np.asarray(len(data), np.int32)).ravel()
    room = SMALLEST_MESSAGE
    while room < sizes.max():
        room *= 2
    rows = multihost_utils.process_allgather(np.pad(data, (0, room - len(data))))
    pairs = zip(rows, sizes, strict=True)
    return [bytes(np.asarray(row[:size], np.uint8)).decode() for row, size in pairs]


def agree(problem: str) -> str:
    """Returns '' when no process has a problem, else the first one's, the same everywhere."""
    told = gather(problem)
    at = next((i for i, text in enumerate(told) if text), None)
    if at is None:
        return ''
    return told[at] if len(set(told)) == 1 else f'process {at}: {told[at]}'


def check_alike(text: str, what: str, remedy: str) -> None:
    """Raises InputError, in every process, unless all of them call it with the same values.

    Args:
      text: an object as JSON.
      what: its name in the message, which tells every value that differs.
      remedy: what to do then, a sentence.
    """
    told = gather(text)
    for i, other in enumerate(told):
        changed = differences(json.loads(told[0]), json.loads(other), what)
        if changed:
            first = f'the {what} of process {i} is not that of process 0 (0 -> {i}):'
            raise InputError('\n  '.join([first, *changed]) + f'\n{remedy}')


def check_shared(folder: Path) -> None:
    """Raises InputError, in every process, unless all of them see in a folder what process 0 sees.

    A network file system may take its time to show what another machine has written: it is given
    `SHARED_FOLDER_WAIT` seconds.
    """
    if jax.process_count() == 1:
        return
    marker = folder / f'.shared.{gather(uuid.uuid4().hex)[0]}'
    problem = ''
    if is_first():
        try:
            marker.touch()
        except OSError as error:
            problem = f'{marker} cannot be written: {error.strerror}'
    problem = agree(problem)
    if problem:
        raise InputError(problem)
    names = gather(json.dumps(_list_visible(folder)))[0]
    until = time.monotonic() + SHARED_FOLDER_WAIT
    while not problem and not (marker.exists() and json.dumps(_list_visible(folder)) == names):
        if time.monotonic() > until:
            problem = _describe_difference(folder, marker, json.loads(names))
        time.sleep(0.1)
    problem = agree(problem)
    if is_first():
        marker.unlink(missing_ok=True)
    if problem:
        raise InputError(problem)


def _list_visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith('.'))


def _describe_difference(folder: Path, marker: Path, names: list[str]) -> str:
    remedy = 'Take a --workdir that all the machines share'
    if not marker.exists():
        return f'its folder {folder} is not that of process 0. {remedy}'
    other = sorted(set(names).symmetric_difference(_list_visible(folder)))
    return (
        f'in {SHARED_FOLDER_WAIT:g} s its folder {folder} did not come to show what process 0 sees '
        f'in it; they differ in {", ".join(other[:5])}. {remedy}, or start again when it is in step'
    )
