"""Finds the fastest of some settings of a kernel on the GPU at hand, and keeps them as JSON.

Settings are a NamedTuple; what is tried are changes of it, `{field: value}`. A file holds those of
one GPU, a line for each key.
"""

import concurrent.futures
import json
import pathlib
import re
import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

Change = dict[str, Any]
Call = Callable[[], Any]  # does not wait for its result
Measure = Callable[[Call], float]


def find_fastest(
    build: Callable[[Any], Call],
    settings: Any,
    changes: list[Change],
    expected: Any,
    measure: Measure,
    threads: int,
) -> tuple[Change, float]:
    """The best of some changes and its seconds. All are compiled, some at the same time, before one
    is timed; what does not compile or run, or gives another result than expected, is named.

    Args:
      build: compiles a call with such settings.
      settings: a NamedTuple.
      changes: the changes of the settings to try.
      expected: the array that a call must give, to 2% of its largest number.
      measure: seconds of a call.
      threads: how many to compile at the same time.
    """

    def compile_with(change: Change) -> Call | None:
        try:
            return build(settings._replace(**change))
        except (RuntimeError, ValueError) as error:  # of Triton, of jax-triton or of XLA
            print(f'  left out: {change}: {str(error).splitlines()[0][:100]}', flush=True)
            return None

    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        calls = list(pool.map(compile_with, changes))
    times = [
        float('inf') if call is None else _time(call, expected, measure, change)
        for call, change in zip(calls, changes, strict=True)
    ]
    best = min(times)
    return changes[times.index(best)], best


def _time(call: Call, expected: Any, measure: Measure, change: Change) -> float:
    """Seconds of a candidate; infinite where it does not run or is wrong, which it says."""
    try:
        result = jax.block_until_ready(call())
    except jax.errors.JaxRuntimeError as error:
        print(f'  left out: {change}: {str(error).splitlines()[0][:100]}', flush=True)
        return float('inf')
    result, expected = result.astype(jnp.float32), expected.astype(jnp.float32)
    off = float(jnp.max(jnp.abs(result - expected)))
    if not off <= 0.02 * float(jnp.max(jnp.abs(expected))):
        print(f'  left out: {change}: its result is off by {off:.3g}', flush=True)
        return float('inf')
    return measure(call)


def measure_median(rounds: int, calls: int = 5) -> Measure:
    """A measure: median seconds of a call, of so many rounds of some calls in a row."""

    def measure(call):
        times = []
        for _ in range(rounds):
            start = time.perf_counter()
            jax.block_until_ready([call() for _ in range(calls)])
            times.append((time.perf_counter() - start) / calls)
        return statistics.median(times)

    return measure


def file_name(gpu: str) -> str:
    """The name of the file of what was found on a GPU."""
    return re.sub(r'[^a-z0-9]+', '_', gpu.lower()).strip('_') + '.json'


def load(path: pathlib.Path) -> dict[str, Change]:
    """What a file holds; nothing where there is none."""
    return json.loads(path.read_text()) if path.exists() else {}


def save(path: pathlib.Path, found: dict[str, Change]) -> None:
    """Adds what was found to a file, by way of another, so that it is never half written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f' {json.dumps(k)}: {json.dumps(v)}' for k, v in sorted((load(path) | found).items())]
    text = '{\n' + ',\n'.join(lines) + '\n}\n'
    scratch = path.with_suffix('.new')
    scratch.write_text(text)
    scratch.replace(path)
