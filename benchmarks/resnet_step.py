"""Times one train step of a ResNet classifier on the CPU: JAX against PyTorch eager, in turn.

    python benchmarks/resnet_step.py --torch-python PATH [--depth 50]

JAX runs in the interpreter that runs this file; PATH is an interpreter that has torchvision, in
which `resnet_step_torch.py` steps torchvision's network when told to. A step is the task's own:
forward, backward, SGD with Nesterov's momentum and the batch norms' moving averages. Rounds
alternate between the two, so that whatever else the machine does falls on both.
"""

import argparse
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np

from sr_jax import tasks
from sr_jax.checkpoints.run import begin
from sr_jax.config.defaults import defaults
from sr_jax.devices import sharding
from sr_jax.devices.freed_memory import keep_freed_memory


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--torch-python', metavar='PATH', help='an interpreter with torchvision')
    parser.add_argument('--depth', type=int, default=50)
    parser.add_argument('--batch', type=int, default=8)
    parser.add_argument('--crop', type=int, default=128, help='side of the images in pixels')
    parser.add_argument('--threads', type=int, default=2, help="PyTorch's threads")
    parser.add_argument('--rounds', type=int, default=12)
    return parser.parse_args()


def compiled_step(args: argparse.Namespace) -> Callable[[], None]:
    """A function that makes one JAX train step and waits for it."""
    keep_freed_memory()  # as `python -m sr_jax.main` does
    config = defaults('classification', model='resnet')
    config.model.depth = args.depth
    config.data.crop_size = args.crop
    config.optimizer.update(name='sgd', learning_rate=0.1, weight_decay=1e-4, schedule='constant')
    task, mesh = tasks.make(config), sharding.make_mesh(jax.devices()[:1])
    rng = np.random.default_rng(0)
    images = rng.random((args.batch, args.crop, args.crop, 3), np.float32)
    batch = sharding.put_batch({'hq': images, 'label': np.arange(args.batch, dtype=np.int32)}, mesh)
    tree = begin(task, 0, mesh)
    layout = sharding.layout(tree, mesh)
    advance = sharding.jit_step(task.train_step, mesh, layout, config.dtype)

    def step() -> None:
        nonlocal tree
        tree, metrics = advance(tree, batch)
        jax.block_until_ready((tree, metrics))

    return step


def seconds(step: Callable[[], None]) -> float:
    """Seconds that a step takes."""
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def compare(
    command: list[str], rounds: int, step: Callable[[], None]
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


def main() -> None:
    """Time JAX alone, or in turn with PyTorch where an interpreter that has it is named."""
    args = parse_arguments()
    step = compiled_step(args)
    for _ in range(2):
        step()
    if args.torch_python:
        numbers = map(str, (args.depth, args.batch, args.crop, args.threads))
        script = Path(__file__).with_name('resnet_step_torch.py')
        report(compare([args.torch_python, str(script), *numbers], args.rounds, step)[1:])
    else:
        times = [seconds(step) for _ in range(args.rounds)]
        print(f'JAX {1e3 * statistics.median(times):.0f} ms a step (median)')


if __name__ == '__main__':
    main()
