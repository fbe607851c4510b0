"""How long what begins a run takes to compile, with its draws one by one and in loops, in turn.

  python benchmarks/start_compile.py [rrdb:photos srflow:photos ...] [--rounds 3]

Compiles `sr_jax.checkpoints.run.init_tree` of each config for this machine's CPU, without kept
programs, and tells how many arrays differ at all between the two, and by how much at most.
"""

import argparse
import importlib
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from sr_jax import tasks  # noqa: E402
from sr_jax.checkpoints.run import init_tree  # noqa: E402
from sr_jax.layers.random_draws import draw_in_loops  # noqa: E402

CONFIGS = ['rrdb:photos', 'vqvae:photos', 'stylegan2:photos', 'srflow:photos']


def main() -> None:
    """Prints a line for each config."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('configs', nargs='*', default=CONFIGS, help='in configs/, as rrdb:photos')
    parser.add_argument('--rounds', type=int, default=3)
    arguments = parser.parse_args()
    for name in arguments.configs:
        seconds: dict[str, list[float]] = {'one by one': [], 'in loops': []}
        for _ in range(arguments.rounds):
            found = {kind: begin(name, kind == 'in loops', seconds[kind]) for kind in seconds}
        plain, looped = (statistics.median(values) for values in seconds.values())
        print(
            f'{name}: one by one {plain:.2f} s, in loops {looped:.2f} s, ratio '
            f'{looped / plain:.2f}; {compare(*found.values())}',
            flush=True,
        )


def begin(name: str, in_loops: bool, seconds: list[float]) -> list[Any]:
    """Returns the arrays that a run begins with; adds to `seconds` how long that compiles."""
    file, _, variant = name.partition(':')
    task = tasks.make(importlib.import_module(f'configs.{file}').get_config(variant))
    batch = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), task.batch(1))

    def init(seed: jax.Array) -> Any:
        return init_tree(task, jax.random.key(seed), batch)

    lowered = jax.jit(draw_in_loops(init) if in_loops else init).lower(np.uint32(0))
    start = time.perf_counter()
    compiled = lowered.compile()
    seconds.append(time.perf_counter() - start)
    return jax.tree.leaves(jax.device_get(compiled(np.uint32(0))))


def compare(first: list[Any], second: list[Any]) -> str:
    """Tells how many arrays differ, and by how much of the largest number of their own."""
    apart = [
        float(np.abs(a - b).max() / np.abs(a).max())
        for a, b in zip(first, second, strict=True)
        if not np.array_equal(a, b)
    ]
    return f'{len(apart)} of {len(first)} arrays differ, by {max(apart, default=0.0):.1e} at most'


if __name__ == '__main__':
    main()
