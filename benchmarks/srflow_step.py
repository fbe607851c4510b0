"""Times an SRFlow's train step against its encoder's as a generator, in turn, and its memory.

    python benchmarks/srflow_step.py
    python benchmarks/srflow_step.py --memory-only --crop 160 --batch 12

The generator is the same RRDBNet, trained on the pixels, as ESRGAN's is in its first phase (against
a discriminator a step takes longer). The flow's step is timed with its encoder at rest, as it is in
the first half of the published schedule, and with its encoder trained too; and in each of the
ways to spend memory.

On paper, in multiplications of the convolutions for a pixel of the true image (64 features, 23
blocks, 16 steps of 64 hidden channels): the RRDBNet 1.12 million, the flow 1.52, of which the
stacked features, at the small image's size, are 0.89 (1.55 at each level's); on CPUs 1.29 and
0.66 (`convolve_enlarged`). A backward pass costs two forward ones. So 1.7 times the generator's
step with the encoder at rest, 2.4 times with it trained, and 1.5 and 2.2 on CPUs; the original's
convolutions would make that 2.3 and 2.9.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from sr_jax.models.rrdb import RRDBNet
from sr_jax.models.srflow import SRFlow


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--features', type=int, default=64, help='of the RRDBNet')
    parser.add_argument('--blocks', type=int, default=23, help='of the RRDBNet')
    parser.add_argument('--growth', type=int, default=32, help='of the RRDBNet')
    parser.add_argument('--steps', type=int, default=16, help='of a level of the flow')
    parser.add_argument('--hidden', type=int, default=64, help="channels of the flow's couplings")
    parser.add_argument('--crop', type=int, default=160, help='side of the true images')
    parser.add_argument('--batch', type=int, default=1)
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--memory-only', action='store_true', help='compile, and time nothing')
    return parser.parse_args()


def networks(args: argparse.Namespace, **fields: Any) -> tuple[RRDBNet, SRFlow]:
    """The generator and the flow that has it as its encoder."""
    encoder = dict(features=args.features, num_blocks=args.blocks, growth=args.growth)
    flow = SRFlow(**encoder, **{'steps': args.steps, 'hidden': args.hidden} | fields)
    return RRDBNet(**encoder, skip_from_blocks=True), flow


def generator_loss(model: RRDBNet) -> Callable:
    """(params, lq, hq) -> mean absolute difference."""
    return lambda params, lq, hq: jnp.abs(model.apply({'params': params}, lq) - hq).mean()


def flow_loss(model: SRFlow, rests: bool) -> Callable:
    """(params, lq, hq) -> negative log-likelihood of a value, in nats."""

    def loss(params, lq, hq):
        encoder = params['rrdb']
        if rests:
            encoder = jax.lax.stop_gradient(encoder)
        condition = model.apply({'params': {'rrdb': encoder}}, lq, method='condition')
        encoding = model.apply({'params': params}, hq, condition, method='encode')
        return -encoding.log_likelihood.mean() / hq[0].size

    return loss


class Step:
    """A compiled step of Adam.

    Args:
      loss: of parameters and images.
      params: at the start; shapes suffice to compile.
      images: (lq, hq), or their shapes.
    """

    def __init__(self, loss: Callable, params: Any, images: tuple[Any, Any]):
        optimizer = optax.adam(1e-4)

        def step(state, lq, hq):
            params, opt_state = state
            gradients = jax.grad(loss)(params, lq, hq)
            updates, opt_state = optimizer.update(gradients, opt_state, params)
            return optax.apply_updates(params, updates), opt_state

        shapes = (params, jax.eval_shape(optimizer.init, params))
        self._start = lambda: (jax.tree.map(jnp.copy, params), optimizer.init(params))
        self._images = images
        self._compiled = jax.jit(step).lower(shapes, *images).compile()
        self.gigabytes = self._compiled.memory_analysis().temp_size_in_bytes / 2**30

    def seconds(self) -> float:
        """How long a step takes."""
        state = jax.block_until_ready(self._start())
        begin = time.perf_counter()
        jax.block_until_ready(self._compiled(state, *self._images))
        return time.perf_counter() - begin


def steps(args: argparse.Namespace) -> dict[str, Step]:
    """The steps that are compared, compiled; the generator's comes first."""
    generator, flow = networks(args)
    side = args.crop // 4
    shapes = [(args.batch, size, size, 3) for size in (side, args.crop)]
    images = tuple(
        jax.ShapeDtypeStruct(shape, jnp.float32)
        if args.memory_only
        else jax.random.uniform(jax.random.key(i), shape)
        for i, shape in enumerate(shapes)
    )
    init = jax.eval_shape if args.memory_only else lambda f, *x: jax.jit(f)(*x)
    start = jnp.zeros((1, 8, 8, 3))
    of_generator = init(generator.init, jax.random.key(0), start)['params']
    of_flow = init(flow.init, jax.random.key(0), start)['params']
    found = {'generator': Step(generator_loss(generator), of_generator, images)}
    for memory in ('keep', 'remat', 'reversible'):
        for rests in (True, False):
            model = networks(args, memory=memory)[1]
            name = f'flow, encoder {"at rest" if rests else "trained"}, {memory}'
            found[name] = Step(flow_loss(model, rests), of_flow, images)
            report = found[name]
            print(f'compiled: {name}: {report.gigabytes:.2f} GiB of temporary memory', flush=True)
    return found


def main() -> None:
    """Prints memory, and the ratio of each step's time to the generator's."""
    args = parse_arguments()
    print(f'JAX {jax.__version__}, {jax.devices()[0].device_kind}, crop {args.crop}, {args}')
    found = steps(args)
    times: dict[str, list[float]] = {name: [] for name in found}
    for _ in range(0 if args.memory_only else args.rounds + 1):
        for name, step in found.items():
            times[name].append(step.seconds())
    for name, step in found.items():
        line = f'{name:<36} {step.gigabytes:6.2f} GiB'
        if not args.memory_only:
            pairs = zip(times[name][1:], times['generator'][1:], strict=True)
            ratios = [mine / generator for mine, generator in pairs]
            seconds = statistics.median(times[name][1:])
            line += f'  {seconds:7.2f} s  {statistics.median(ratios):5.2f} times the generator '
            line += f'({min(ratios):.2f} to {max(ratios):.2f})'
        print(line)


if __name__ == '__main__':
    main()
