"""How long what begins a run takes, as one program and with its arrays taken apart, in turn.

  python benchmarks/start_compile.py [rrdb:photos srflow:photos ...] [--blocks 23] [--rounds 3]

Makes `sr_jax.checkpoints.run.init_tree` of each config on this machine's CPU, from tracing to the
arrays, without kept programs, and tells how many of these differ at all, and by how much at most.
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
from sr_jax.checkpoints.start_values import make_start  # noqa: E402
from sr_jax.devices import sharding  # noqa: E402
from sr_jax.layers.random_draws import draw_in_loops  # noqa: E402

CONFIGS = ['rrdb:photos', 'vqvae:photos', 'stylegan2:photos', 'srflow:photos']


def main() -> None:
    """Prints a line for each config."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('configs', nargs='*', default=CONFIGS, help='in configs/, as rrdb:photos')
    parser.add_argument('--blocks', type=int, help='of each network, instead of its own number')
    parser.add_argument('--rounds', type=int, default=3)
    arguments = parser.parse_args()
    for name in arguments.configs:
        seconds: dict[str, list[float]] = {'program': [], 'apart': []}
        for _ in range(arguments.rounds):
            found = {
                kind: begin(name, arguments.blocks, kind == 'apart', seconds[kind])
                for kind in seconds
            }
        whole, apart = (statistics.median(values) for values in seconds.values())
        print(
            f'{name}: one program {whole:.2f} s, apart {apart:.2f} s, ratio '
            f'{apart / whole:.2f}; {compare(*found.values())}',
            flush=True,
        )


def begin(name: str, blocks: int | None, apart: bool, seconds: list[float]) -> list[Any]:
    """Returns the arrays that a run begins with; adds to `seconds` how long that takes."""
    file, _, variant = name.partition(':')
    config = importlib.import_module(f'configs.{file}').get_config(variant)
    if blocks:
        config.model.num_blocks = blocks
    task, mesh = tasks.make(config), sharding.make_mesh(jax.devices()[:1])
    batch = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), task.batch(1))

    def init(seed: jax.Array) -> Any:
        return init_tree(task, jax.random.key(seed), batch)

    start = time.perf_counter()
    made = make_start(init, 0, mesh) if apart else jax.jit(draw_in_loops(init))(np.uint32(0))
    jax.block_until_ready(made)
    seconds.append(time.perf_counter() - start)
    return jax.tree.leaves(jax.device_get(made))


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
