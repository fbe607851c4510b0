"""Times a StyleGAN2 train step on the CPU: JAX against PyTorch eager, in turn.

    python benchmarks/stylegan2_step.py --torch-python PATH

JAX runs in the interpreter that runs this file, by the trainer's own step; PATH is an interpreter
that has torch, in which `stylegan2_step_torch.py` trains the same networks when told to. A round is
16 steps: R1 is in one of them, the path length in four. Rounds alternate between the two, so that
whatever else the machine does falls on both.
"""

import argparse
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import ml_collections

from configs import stylegan2
from sr_jax import tasks
from sr_jax.checkpoints.run import begin
from sr_jax.devices import sharding
from sr_jax.devices.freed_memory import keep_freed_memory
from sr_jax.training.step import jit_step

STEPS = 16


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--torch-python', metavar='PATH', help='an interpreter that has torch')
    parser.add_argument('--base', type=int, default=1024, help='channels times a side')
    parser.add_argument('--batch', type=int, default=8)
    parser.add_argument('--threads', type=int, default=2, help="PyTorch's threads")
    parser.add_argument('--rounds', type=int, default=3)
    return parser.parse_args()


def config_of(args: argparse.Namespace) -> ml_collections.ConfigDict:
    """The config `photos`, without augmentation."""
    config = stylegan2.get_config('photos')
    for section in (config.model, config.discriminator):
        section.channel_base = args.base
    config.augmentation.target = 0.0
    config.train.batch_size = args.batch
    return config


def compiled_steps(config: ml_collections.ConfigDict) -> Callable[[], None]:
    """A function that makes a round of train steps and waits for them."""
    keep_freed_memory()  # as `python -m sr_jax.main` does
    task, mesh = tasks.make(config), sharding.make_mesh(jax.devices()[:1])
    tree, size = begin(task, 0, mesh), config.model.size
    batch = {'hq': jax.random.uniform(jax.random.key(0), (config.train.batch_size, size, size, 3))}
    began = time.perf_counter()
    step = jit_step(task, mesh, sharding.layout(tree, mesh), config)
    step = step.lower(tree, batch).compile()
    print(f'JAX {jax.__version__}: compiled in {time.perf_counter() - began:.0f} s', flush=True)

    def run() -> None:
        nonlocal tree
        tree = jax.tree.map(jnp.asarray, tree)
        for _ in range(STEPS):
            tree, _ = step(tree, batch)
        jax.block_until_ready(tree)

    return run


def main() -> None:
    """Prints the median seconds of a step of both, and their ratio."""
    args = parse_arguments()
    config = config_of(args)
    run = compiled_steps(config)
    model = config.model
    sizes = (args.batch, model.size, model.latent_size, model.num_mapping, args.base)
    command = [args.torch_python, str(Path(__file__).with_name('stylegan2_step_torch.py'))]
    command += map(str, (args.threads, *sizes, model.channel_max))
    other = None
    if args.torch_python:
        pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        other = subprocess.Popen(command, **pipes)
        print(other.stdout.readline(), end='')
    run()
    ours, theirs = [], []
    for _ in range(args.rounds):
        began = time.perf_counter()
        run()
        ours.append((time.perf_counter() - began) / STEPS)
        if other:
            other.stdin.write('\n')
            other.stdin.flush()
            theirs.append(float(other.stdout.readline()))
    print(f'JAX     {statistics.median(ours):.3f} s a step of {[round(s, 3) for s in ours]}')
    if other:
        other.stdin.close()
        other.wait()
        print(f'PyTorch {statistics.median(theirs):.3f} s of {[round(s, 3) for s in theirs]}')
        print(f'ratio   {statistics.median(ours) / statistics.median(theirs):.2f}')


if __name__ == '__main__':
    main()
