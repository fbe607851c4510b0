"""How training scales with more GPUs: bytes that a step exchanges, from the compiled HLO, on paper.

  python benchmarks/weak_scaling.py vqvae srresnet rrdb esrgan srflow
  python benchmarks/weak_scaling.py vqvae --flops 350e12 --efficiency 0.4

Each config's training step, of its published size, is compiled for 2 host devices, one picture on
each, and the operands of all its all-reduces are added up: their bytes do not depend on the batch
or on the number of devices. The time of an all-reduce among n GPUs is that of a ring, 2 (n - 1) / n
times the bytes over the link's rate (Patarasuk and Yuan, 2009, doi:10.1016/j.jpdc.2008.09.002), by
NVLink within a node of 8 and by InfiniBand, one link for each GPU, between nodes: the slower of
both counts. The time of a GPU's own work is the FLOPs that XLA counts for its pictures over
`--flops` times `--efficiency`. Nothing is overlapped, so that the true efficiency should be better;
latencies and stragglers are left out, so that with many nodes it may be worse. Nothing here was
measured on a GPU.
"""

import argparse
import importlib.util
import math
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault('JAX_PLATFORMS', 'cpu')
os.environ['XLA_FLAGS'] = '--xla_force_host_platform_device_count=2'

import jax
import jax.numpy as jnp

from sr_jax import sharding, tasks, trained

ROOT = Path(__file__).parents[1]
GPUS = (8, 16, 64, 256, 1024)
GPUS_OF_A_NODE = 8
SIZES = {'f32': 4, 's32': 4, 'u32': 4, 'bf16': 2, 'f16': 2, 'pred': 1, 's8': 1, 'u8': 1}
# Bytes a second and direction: of NVLink 4 (H100 SXM: 900 GB/s both ways), of InfiniBand NDR 400.
NVLINK, INFINIBAND = 450e9, 50e9
ALL_REDUCE = re.compile(r'= (.*?) all-reduce(?:-start)?\(')
ARRAY = re.compile(r'(\w+)\[([\d,]*)\]')


class Step(NamedTuple):
    """What a training step exchanges and computes.

    Attributes:
      exchanged: bytes that a device puts into all-reduces.
      flops: of a device for one picture.
      batch: pictures of a device in the config's published batch on 8 GPUs, at least 1.
    """

    exchanged: int
    flops: float
    batch: int


def exchanged_bytes(hlo: str) -> int:
    """Returns the bytes of all all-reduces in the text of a compiled module."""
    total = 0
    for shapes in ALL_REDUCE.findall(hlo):
        for kind, sides in ARRAY.findall(shapes):
            total += SIZES[kind] * math.prod(int(n) for n in sides.split(',') if n)
    return total


def measure(name: str, variant: str) -> Step:
    """Compiles the training step of a config for two devices with a picture each."""
    path = ROOT / 'configs' / f'{name}.py'
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    config = module.get_config(variant) if variant else module.get_config()
    batch = max(config.train.effective_batch_size or config.train.batch_size, 1)
    config.train.update(batch_size=2, accumulation=1, effective_batch_size=0, start_from='')
    if 'perceptual' in config.loss and config.loss.perceptual.weight:
        config.loss.perceptual.weights = 'random'  # of the same shapes as the published ones
    task, mesh, size = tasks.make(config), sharding.make_mesh(), config.data.crop_size
    tree = trained.abstract_state(config, task, mesh)
    tree = trained.with_frozen(tree, jax.eval_shape(task.frozen))
    pictures = {'hq': jax.ShapeDtypeStruct((2, size, size, 3), jnp.float32)}
    if config.data.source.startswith('paired:'):
        side = size // config.model.scale
        pictures['lq'] = jax.ShapeDtypeStruct((2, side, side, 3), jnp.float32)
    lowered = sharding.jit_step(task.train_step, mesh).lower(tree, pictures)
    compiled = lowered.compile({'xla_backend_optimization_level': 0})
    flops = float(compiled.cost_analysis()['flops'])
    return Step(exchanged_bytes(compiled.as_text()), flops, max(batch // 8, 1))


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
    print('| config | pictures a GPU | GFLOP a picture | MB all-reduced | ', end='')
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
