"""Times one VQ-VAE train step on the CPU: JAX against PyTorch eager, in turn.

    python benchmarks/vqvae_step.py --torch-python PATH [--form nearest]

JAX runs in the interpreter that runs this file; PATH is an interpreter that has torch, in which
`vqvae_step_torch.py` steps the same network when told to. A step is forward, backward, Adam and
the codebooks' moving averages. Rounds alternate between the two, so that whatever else the machine
does falls on both.
"""

import argparse
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import optax

from sr_jax.devices.freed_memory import keep_freed_memory
from sr_jax.layers.winograd import fewer_products
from sr_jax.models.vqvae import VQVAE


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--torch-python', metavar='PATH', help='an interpreter that has torch')
    parser.add_argument('--form', choices=('transposed', 'nearest'), default='transposed')
    parser.add_argument('--channels', type=int, default=128)
    parser.add_argument('--batch', type=int, default=8)
    parser.add_argument('--crop', type=int, default=64, help='side of the square input in pixels')
    parser.add_argument('--threads', type=int, default=2, help="PyTorch's threads")
    parser.add_argument('--rounds', type=int, default=20)
    parser.add_argument('--steps', type=int, default=2, help='steps in a round')
    return parser.parse_args()


def train_step(model: VQVAE, optimizer: optax.GradientTransformation) -> Callable:
    """`(params, codebook, opt_state), images -> ` the same after one step."""

    def step(state, x):
        params, codebook, opt_state = state

        def loss(params):
            variables = {'params': params, 'codebook': codebook}
            with fewer_products(1):  # as a run of some thousand steps has them
                out, mutated = model.apply(variables, x, train=True, mutable=['codebook'])
            error = 4 * jnp.mean((out.image - x) ** 2)  # on [-1, 1], as the original measures it
            return error + 0.25 * out.commitment_loss, mutated['codebook']

        gradients, codebook = jax.grad(loss, has_aux=True)(params)
        updates, opt_state = optimizer.update(gradients, opt_state, params)
        return optax.apply_updates(params, updates), codebook, opt_state

    return step


def compiled_steps(args: argparse.Namespace) -> Callable[[int], None]:
    """A function that makes so many JAX train steps and waits for them."""
    keep_freed_memory()  # as `python -m sr_jax.main` does
    model = VQVAE(channels=args.channels, upsampling=args.form)
    optimizer = optax.adam(3e-4)
    x = jax.random.uniform(jax.random.key(0), (args.batch, args.crop, args.crop, 3))
    variables = jax.jit(model.init)(jax.random.key(1), x)
    params = variables['params']
    state = (params, variables['codebook'], optimizer.init(params))
    step = jax.jit(train_step(model, optimizer), donate_argnums=0).lower(state, x).compile()
    memory = step.memory_analysis().temp_size_in_bytes / 2**20
    count = sum(leaf.size for leaf in jax.tree.leaves(params))
    print(f'JAX {jax.__version__}: {count} parameters, {memory:.0f} MiB of temporary memory')

    def run(steps: int) -> None:
        nonlocal state
        for _ in range(steps):
            state = step(state, x)
        jax.block_until_ready(state)

    return run


def seconds(run: Callable[[int], None], steps: int) -> float:
    """Seconds that each of `steps` steps takes."""
    start = time.perf_counter()
    run(steps)
    return (time.perf_counter() - start) / steps


def compare(args: argparse.Namespace, run: Callable[[int], None]) -> list[tuple[float, float]]:
    """Seconds of a JAX and of a PyTorch step, round by round."""
    numbers = (args.channels, args.batch, args.crop, args.threads, args.steps)
    script = Path(__file__).with_name('vqvae_step_torch.py')
    command = [args.torch_python, str(script), args.form, *map(str, numbers)]
    pairs = []
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as child:
        for _ in range(args.rounds):
            ours = seconds(run, args.steps)
            child.stdin.write('\n')
            pairs.append((ours, float(child.stdout.readline())))
        child.stdin.close()
    return pairs


def report(form: str, pairs: list[tuple[float, float]]) -> None:
    """Print the medians of both times and of their ratio, and the ratio of the best times."""
    ours, theirs = zip(*pairs, strict=True)
    low, ratio, high = statistics.quantiles([a / b for a, b in pairs], n=4)
    medians = [1e3 * statistics.median(times) for times in (ours, theirs)]
    print(f'{form}: JAX {medians[0]:.0f} ms, PyTorch {medians[1]:.0f} ms a step (medians)')
    print(f'ratio {ratio:.2f} (quartiles {low:.2f} to {high:.2f} of {len(pairs)} rounds)')
    print(f'ratio of the best times {min(ours) / min(theirs):.2f}')


def main() -> None:
    """Time JAX alone, or in turn with PyTorch where an interpreter that has it is named."""
    args = parse_arguments()
    run = compiled_steps(args)
    run(2)
    if args.torch_python:
        report(args.form, compare(args, run))
    else:
        times = [seconds(run, args.steps) for _ in range(args.rounds)]
        print(f'{args.form}: JAX {1e3 * statistics.median(times):.0f} ms a step (median)')


if __name__ == '__main__':
    main()
