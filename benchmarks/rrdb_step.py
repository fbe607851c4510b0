"""Times one train step of RRDBNet on the CPU: JAX against PyTorch eager, in turn.

    python benchmarks/rrdb_step.py --torch-python PATH [--blocks 4 --dtype bfloat16]

JAX runs in the interpreter that runs this file; PATH is an interpreter that has PyTorch, in which
`rrdb_step_torch.py` makes the same step when told to: the small images, the enlarged ones, their
absolute error, and Adam. How long ours takes to trace and to compile is printed too.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from benchmarks.resnet_step import compare, report, seconds  # noqa: E402
from configs import rrdb  # noqa: E402
from sr_jax import tasks  # noqa: E402
from sr_jax.checkpoints.run import begin  # noqa: E402
from sr_jax.devices import sharding  # noqa: E402
from sr_jax.devices.freed_memory import keep_freed_memory  # noqa: E402

NUMBERS = ('features', 'growth', 'blocks', 'batch', 'crop', 'threads')


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--torch-python', metavar='PATH', help='an interpreter with PyTorch')
    defaults = dict(zip(NUMBERS, (64, 32, 4, 4, 128, 2), strict=True))
    for name, value in {**defaults, 'rounds': 12}.items():
        parser.add_argument(f'--{name}', type=int, default=value)
    parser.add_argument('--dtype', default='float32', help="of JAX's step")
    return parser.parse_args()


def compiled_step(args: argparse.Namespace) -> Callable[[], None]:
    """A function that makes one JAX train step and waits for it."""
    keep_freed_memory()  # as `python -m sr_jax.main` does
    config = rrdb.get_config()
    config.dtype = args.dtype
    config.model.update(features=args.features, growth=args.growth, num_blocks=args.blocks)
    config.optimizer.ema_decay = 0.0
    task, mesh = tasks.make(config), sharding.make_mesh(jax.devices()[:1])
    images = np.random.default_rng(0).random((args.batch, args.crop, args.crop, 3), np.float32)
    batch = sharding.put_batch({'hq': images}, mesh)
    tree = begin(task, 0, mesh)
    step = sharding.jit_step(task.train_step, mesh, sharding.layout(tree, mesh), config.dtype)
    times = [time.perf_counter()]
    lowered = step.lower(tree, batch)
    times.append(time.perf_counter())
    advance = lowered.compile()
    times.append(time.perf_counter())
    traced, compiled = np.diff(times)
    print(f'JAX {jax.__version__}: traced in {traced:.2f} s, compiled in {compiled:.2f} s')

    def step_once() -> None:
        nonlocal tree
        tree, metrics = advance(tree, batch)
        jax.block_until_ready((tree, metrics))

    return step_once


def main() -> None:
    """Time JAX alone, or in turn with PyTorch where an interpreter that has it is named."""
    args = parse_arguments()
    step = compiled_step(args)
    for _ in range(2):
        step()
    if args.torch_python:
        script = str(Path(__file__).with_name('rrdb_step_torch.py'))
        numbers = [str(getattr(args, name)) for name in NUMBERS]
        report(compare([args.torch_python, script, *numbers], args.rounds, step)[1:])
    else:
        times = [seconds(step) for _ in range(args.rounds)]
        print(f'JAX {1e3 * statistics.median(times):.0f} ms a step (median)')


if __name__ == '__main__':
    main()
