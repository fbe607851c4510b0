"""What the benchmarks of train steps share: a task's own step, and PyTorch's in turn with it.

The other side is a script of this folder that an interpreter with PyTorch runs: it makes a step for
each line on its standard input, and answers with the seconds that it took. Rounds alternate, so
that whatever else the machine does falls on both.
"""

import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import ml_collections

from sr_jax import tasks
from sr_jax.checkpoints.run import begin
from sr_jax.devices import sharding
from sr_jax.devices.freed_memory import keep_freed_memory
from sr_jax.inference import networks
from sr_jax.tasks.task import Load, with_frozen
from sr_jax.training.stacking import Stacking
from sr_jax.training.step import jit_step


def compiled_step(
    config: ml_collections.ConfigDict, batch: dict[str, Any], stacked: bool = True
) -> Callable[[], None]:
    """A function that makes one train step of a config and waits for it; says how long it took to
    trace and to compile. Arguments as of `make_step`."""
    step, traced, compiled = make_step(config, batch, stacked=stacked)
    print(f'JAX {jax.__version__}: traced in {traced:.2f} s, compiled in {compiled:.2f} s')
    return step


def make_step(
    config: ml_collections.ConfigDict,
    batch: dict[str, Any],
    load: Load = networks.load,
    stacked: bool = True,
) -> tuple[Callable[[], None], float, float]:
    """A function that makes one train step of a config and waits for it, and the seconds that it
    took to trace and to compile.

    Args:
      config: of the step.
      batch: of NumPy's arrays.
      load: loads the networks that it keeps frozen.
      stacked: equal blocks are stacked, as the trainer does.
    """
    keep_freed_memory()  # as `python -m sr_jax.main` does
    task, mesh = tasks.make(config), sharding.make_mesh(jax.devices()[:1])
    batch, tree = sharding.put_batch(batch, mesh), begin(task, 0, mesh)
    if stacked:
        tree = {**tree, 'state': Stacking.of(task, mesh).stack(tree['state'])}
    frozen = task.frozen(load, True)
    frozen = jax.device_put(frozen, sharding.layout(frozen, mesh))
    tree = {**tree, 'state': with_frozen(task, tree['state'], frozen)}
    step = jit_step(task, mesh, sharding.layout(tree, mesh), config)
    start = time.perf_counter()
    lowered = step.lower(tree, batch)
    traced = time.perf_counter()
    advance = lowered.compile()
    compiled = time.perf_counter()

    def advance_once() -> None:
        nonlocal tree
        tree, metrics = advance(tree, batch)
        jax.block_until_ready((tree, metrics))

    return advance_once, traced - start, compiled - traced


def seconds(step: Callable[[], None]) -> float:
    """Seconds that a step takes."""
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def measure(
    step: Callable[[], None], rounds: int, torch_python: str | None, script: str, *numbers: int
) -> None:
    """Times a step alone, or in turn with PyTorch's where an interpreter that has it is named.

    Args:
      step: makes one.
      rounds: how many.
      torch_python: the interpreter.
      script: of this folder, that it runs.
      numbers: the script's arguments.
    """
    for _ in range(2):
        step()
    if torch_python:
        command = [torch_python, str(Path(__file__).with_name(script)), *map(str, numbers)]
        report(compare(command, rounds, step)[1:])
    else:
        times = [seconds(step) for _ in range(rounds)]
        print(f'JAX {1e3 * statistics.median(times):.0f} ms a step (median)')


def compare(
    command: Sequence[str], rounds: int, step: Callable[[], None]
) -> list[tuple[float, float]]:
    """Seconds of a JAX and of a PyTorch step, round by round; the command makes one for a line."""
    pairs = []
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    ) as child:
        for _ in range(rounds):
            ours = seconds(step)
            child.stdin.write('\n')
            pairs.append((ours, float(child.stdout.readline())))
        child.stdin.close()
    return pairs


def report(pairs: list[tuple[float, float]]) -> None:
    """Print the medians of both times and of their ratio, and the ratio of the best times."""
    ours, theirs = zip(*pairs, strict=True)
    low, ratio, high = statistics.quantiles([a / b for a, b in pairs], n=4)
    medians = [1e3 * statistics.median(times) for times in (ours, theirs)]
    print(f'JAX {medians[0]:.0f} ms, PyTorch {medians[1]:.0f} ms a step (medians)')
    print(f'ratio {ratio:.2f} (quartiles {low:.2f} to {high:.2f} of {len(pairs)} rounds)')
    print(f'ratio of the best times {min(ours) / min(theirs):.2f}')
