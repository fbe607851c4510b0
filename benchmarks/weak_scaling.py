"""How training scales with more GPUs: bytes that a step exchanges, from the compiled HLO, on paper.

  python benchmarks/weak_scaling.py vqvae srresnet rrdb esrgan srflow
  python benchmarks/weak_scaling.py vqvae --flops 350e12 --efficiency 0.4

Each config's training step, of its published size, is compiled for 2 host devices, one image on
each, and the operands of all its all-reduces are added up, those in a loop as often as it goes
round: their bytes do not depend on the batch or on the number of devices. A step with more than
`MAX_BLOCKS` equal blocks, which may take more than 10 GB to compile, is compiled with three small
numbers of blocks instead; the bytes must grow by the same for each, and so they are for all. The
time of an all-reduce among n GPUs is that of a ring, 2 (n - 1) / n times the bytes over the link's
rate (Patarasuk and Yuan, 2009, doi:10.1016/j.jpdc.2008.09.002), by NVLink within a node of 8 and by
InfiniBand, one link for each GPU, between nodes: the slower of both counts. The time of a GPU's own
work is the FLOPs that XLA counts for its images, of the whole step, over `--flops` times
`--efficiency`; XLA counts what is in a loop once, so they are scaled by the convolutions and
products with and without their loops. Nothing is overlapped, so that the true efficiency should be
better; latencies and stragglers are left out, so that with many nodes it may be worse. Nothing here
was measured on a GPU.
"""

import argparse
import functools
import importlib.util
import math
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault('JAX_PLATFORMS', 'cpu')
os.environ['XLA_FLAGS'] = '--xla_force_host_platform_device_count=2'

import jax
import jax.numpy as jnp
import ml_collections

from sr_jax import tasks
from sr_jax.checkpoints.run import abstract_tree, with_frozen
from sr_jax.devices import sharding

ROOT = Path(__file__).parents[1]
GPUS = (8, 16, 64, 256, 1024)
GPUS_OF_A_NODE = 8
SIZES = {'f32': 4, 's32': 4, 'u32': 4, 'bf16': 2, 'f16': 2, 'pred': 1, 's8': 1, 'u8': 1}
# Bytes a second and direction: of NVLink 4 (H100 SXM: 900 GB/s both ways), of InfiniBand NDR 400.
NVLINK, INFINIBAND = 450e9, 50e9
ALL_REDUCE = re.compile(r'= (.*?) all-reduce(?:-start)?\(')
COMPUTATION = re.compile(r'(ENTRY )?%?([\w.-]+) \(.*\{$')
CALLED = re.compile(
    r'(?:body|calls|to_apply|true_computation|false_computation|branch_computations)=(\{.*?\}|%[\w.-]+)'
)
ROUNDS = re.compile(r'"known_trip_count":\{"n":"(\d+)"')
MAX_BLOCKS = 8
ARRAY = re.compile(r'(\w+)\[([\d,]*)\]')


class Step(NamedTuple):
    """What a training step exchanges and computes.

    Attributes:
      exchanged: bytes that a device puts into all-reduces.
      flops: of a device for one image.
      batch: images of a device in the config's published batch on 8 GPUs, at least 1.
    """

    exchanged: int
    flops: float
    batch: int


def exchanged_bytes(hlo: str) -> int:
    """Returns the bytes of all all-reduces in the text of a compiled module, with their loops.

    Raises:
      ValueError: a loop with all-reduces does not say how often it goes round.
    """
    own: dict[str, int] = {'': 0}
    called: dict[str, list[tuple[str, str]]] = {'': []}
    entry = name = ''
    for line in hlo.splitlines():
        head = COMPUTATION.match(line)
        if head:
            name = head[2]
            own[name], called[name] = 0, []
            entry = name if head[1] else entry
        for shapes in ALL_REDUCE.findall(line):
            for kind, sides in ARRAY.findall(shapes):
                own[name] += SIZES[kind] * math.prod(int(n) for n in sides.split(',') if n)
        rounds = ''.join(ROUNDS.findall(line)) if ' while(' in line else '1'
        names = [n for group in CALLED.findall(line) for n in re.findall(r'%([\w.-]+)', group)]
        called[name] += [(n, rounds) for n in names]

    @functools.cache
    def total(name: str) -> int:
        inner = 0
        for other, rounds in called.get(name, ()):
            if total(other) and not rounds:
                raise ValueError(f'it is not known how often the loop {other} goes round')
            inner += total(other) * int(rounds or 0)
        return own.get(name, 0) + inner

    return total(entry)


def counted(jaxpr: Any, loops: bool) -> float:
    """Returns the FLOPs of convolutions and matrix products, about; of those in loops, once or all.

    Args:
      jaxpr: as `jax.make_jaxpr` has it.
      loops: multiply by the length of each scan.
    """
    total = 0.0
    for equation in jaxpr.eqns:
        out = math.prod(equation.outvars[0].aval.shape) if equation.outvars else 0
        shapes = [v.aval.shape for v in equation.invars if hasattr(v.aval, 'shape')]
        inner = [counted(found, loops) for found in jaxprs(equation.params.values())]
        if equation.primitive.name == 'conv_general_dilated':
            features = shapes[1][equation.params['dimension_numbers'].rhs_spec[0]]
            total += 2 * out * math.prod(shapes[1]) / features
        elif equation.primitive.name == 'dot_general':
            (axes, _), _ = equation.params['dimension_numbers']
            total += 2 * out * math.prod(shapes[0][axis] for axis in axes)
        elif equation.primitive.name == 'cond':
            total += max(inner)
        else:
            length = equation.params['length'] if equation.primitive.name == 'scan' else 1
            total += sum(inner) * (length if loops else 1)
    return total


def jaxprs(values: Iterable[Any]) -> Iterator[Any]:
    """Yields the jaxprs among the parameters of an equation."""
    for value in values:
        if isinstance(value, tuple | list):
            yield from jaxprs(value)
        elif hasattr(value, 'jaxpr'):
            yield value.jaxpr
        elif hasattr(value, 'eqns'):
            yield value


def published(name: str, variant: str) -> ml_collections.ConfigDict:
    """Returns a config with an image for each of two devices, and random weights in its losses."""
    path = ROOT / 'configs' / f'{name}.py'
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    config = module.get_config(variant) if variant else module.get_config()
    config.train.update(accumulation=1, start_from='')
    if 'perceptual' in config.loss and config.loss.perceptual.weight:
        config.loss.perceptual.weights = 'random'  # of the same shapes as the published ones
    return config


def step_of(config: ml_collections.ConfigDict) -> tuple[Any, Any]:
    """Returns the training step for two devices, lowered, and its jaxpr."""
    config = config.copy_and_resolve_references()
    config.train.update(batch_size=2, effective_batch_size=0)
    task, mesh, size = tasks.make(config), sharding.make_mesh(), config.data.crop_size
    tree = abstract_tree(task, mesh)
    tree = with_frozen(tree, jax.eval_shape(task.frozen))
    images = {'hq': jax.ShapeDtypeStruct((2, size, size, 3), jnp.float32)}
    if config.data.source.startswith('paired:'):
        side = size // config.model.scale
        images['lq'] = jax.ShapeDtypeStruct((2, side, side, 3), jnp.float32)
    traced = sharding.jit_step(task.train_step, mesh).trace(tree, images)
    return traced.lower(), traced.jaxpr.jaxpr


def compiled_bytes(config: ml_collections.ConfigDict, blocks: int = 0) -> int:
    """Returns the bytes that the compiled step exchanges, with so many blocks, or its own."""
    config = config.copy_and_resolve_references()
    if blocks:
        config.model.num_blocks = blocks
    compiled = step_of(config)[0].compile({'xla_backend_optimization_level': 0})
    return exchanged_bytes(compiled.as_text())


def measure(name: str, variant: str) -> Step:
    """Measures the training step of a config, with an image on each of two devices.

    Raises:
      RuntimeError: the bytes do not grow by the same with each block.
    """
    config = published(name, variant)
    batch = max(config.train.effective_batch_size or config.train.batch_size, 1)
    lowered, jaxpr = step_of(config)
    flops = float(lowered.cost_analysis()['flops']) / 2
    flops *= counted(jaxpr, loops=True) / counted(jaxpr, loops=False)
    blocks = config.model.get('num_blocks', 0)
    if blocks <= MAX_BLOCKS:
        return Step(compiled_bytes(config), flops, max(batch // 8, 1))
    least = config.model.get('stacked', 1)
    first, second, third = (compiled_bytes(config, least + i) for i in range(3))
    if third - second != second - first:
        raise RuntimeError(f'{name}: {first}, {second}, {third} bytes with {least}, ... blocks')
    exchanged = first + (blocks - least) * (second - first)
    return Step(exchanged, flops, max(batch // 8, 1))


def ring_seconds(exchanged: float, gpus: int) -> float:
    """Returns the time of an all-reduce of so many bytes among so many GPUs."""
    rate = NVLINK if gpus <= GPUS_OF_A_NODE else min(NVLINK, INFINIBAND * GPUS_OF_A_NODE)
    return 2 * (gpus - 1) / gpus * exchanged / rate


def efficiency(step: Step, gpus: int, rate: float) -> float:
    """Returns the share of the time in which a GPU does its own work."""
    work = step.flops * step.batch / rate
    return work / (work + ring_seconds(step.exchanged, gpus))


def main(argv: Sequence[str] | None = None) -> int:
    """Prints a table, a row for each config."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('configs', nargs='+', help='such as vqvae or vqvae:imagenet')
    parser.add_argument('--flops', type=float, default=67e12, help='of a GPU; H100: float32 67e12')
    parser.add_argument('--efficiency', type=float, default=0.3, help='share of them that is used')
    arguments = parser.parse_args(argv)
    rate = arguments.flops * arguments.efficiency
    print('| config | images a GPU | GFLOP an image | MB all-reduced | ', end='')
    print(' | '.join(f'{n} GPUs' for n in GPUS), '|')
    print('|---' * (4 + len(GPUS)) + '|')
    for config in arguments.configs:
        step = measure(*config.partition(':')[::2])
        shown = ' | '.join(f'{efficiency(step, n, rate):.1%}' for n in GPUS)
        print(
            f'| {config} | {step.batch} | {step.flops / 1e9:.1f} | {step.exchanged / 1e6:.2f} | '
            f'{shown} |',
            flush=True,
        )
    return 0


if __name__ == '__main__':
    sys.exit(main())
