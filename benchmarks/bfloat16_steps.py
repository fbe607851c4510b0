"""Times train steps of configs on the CPU in float32 and in bfloat16, in turn.

    python benchmarks/bfloat16_steps.py configs/vqvae.py configs/rrdb.py:real --batch 4

Of what a network repeats it has `--repeated` at most, so that a step takes seconds; the rest is as
the config says. Batches are noise, and what losses compare features by has start values: neither
changes how long a step takes. Rounds alternate, so that whatever else the machine does falls on
both.
"""

import argparse
import statistics
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from benchmarks.train_steps import make_step, seconds  # noqa: E402
from sr_jax import models, tasks  # noqa: E402
from sr_jax.config.files import read_config  # noqa: E402
from sr_jax.inference import networks  # noqa: E402
from sr_jax.models import vgg  # noqa: E402

DTYPES = ('float32', 'bfloat16')


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('configs', nargs='+', metavar='CONFIG[:VARIANT]')
    parser.add_argument('--batch', type=int, default=4)
    parser.add_argument('--crop', type=int, default=128, help='at most, side in pixels')
    parser.add_argument('--repeated', type=int, default=2, help='blocks or layers at most')
    parser.add_argument('--rounds', type=int, default=5)
    return parser.parse_args()


def read(source: str, args: argparse.Namespace) -> ml_collections.ConfigDict:
    """A config with fewer of what its networks repeat, and of smaller crops."""
    path, _, variant = source.partition(':')
    config = read_config(path, variant or None)
    config.data.crop_size = min(config.data.crop_size, args.crop)
    most = args.repeated
    if config.model.get('switching') and config.model.switching.layers:
        most = max(most, 5)  # those that are switched may be the fifth
    for section in filter(None, (config.model, config.get('bottom'))):
        for field in models.repeated_fields(section.name):
            section[field] = min(section[field], most)
    tasks.make(config).complete(config, draw)  # classes, as the data has them
    return config


def draw(source: str) -> networks.LoadedNetwork:
    """A network of features with start values, in the place of one that a config names."""
    depth = 19 if '19' in source else 16
    outputs = tuple(layer.name for layer in vgg.plan(depth))
    settings: dict[str, Any] = dict(name='vgg', depth=depth)
    if depth == 19:
        settings['outputs'] = outputs
    model = models.make(settings)
    variables = model.init(jax.random.key(0), jnp.zeros(model.example(1).shape))
    return networks.LoadedNetwork(settings, variables, source)


def examples(task: Any, count: int) -> dict[str, np.ndarray]:
    """A batch: images of noise, classes in turn, and a box in each image."""
    rng = np.random.default_rng(0)

    def make(name: str, spec: jax.ShapeDtypeStruct) -> np.ndarray:
        if name == 'boxes':
            boxes = np.full(spec.shape, -1, np.float32)
            boxes[:, 0] = 2, 3, 41, 34, 1
            return boxes
        if spec.dtype == jnp.float32:
            return rng.random(spec.shape, np.float32)
        return np.arange(spec.size, dtype=np.int32).reshape(spec.shape) % 3

    return {name: make(name, spec) for name, spec in task.batch(count).items()}


def compare(source: str, args: argparse.Namespace) -> str:
    """A row of the table."""
    steps, compiled = {}, {}
    for dtype in DTYPES:
        config = read(source, args)
        config.dtype = dtype
        batch = examples(tasks.make(config), args.batch)
        steps[dtype], _, compiled[dtype] = make_step(config, batch, draw)
        steps[dtype]()
    rounds = [[seconds(steps[dtype]) for dtype in DTYPES] for _ in range(args.rounds)]
    medians = [1e3 * statistics.median(times) for times in zip(*rounds, strict=True)]
    ratios = sorted(narrow / wide for wide, narrow in rounds)
    middle = statistics.median(ratios)
    words = ' | '.join(f'{ms:.0f}' for ms in medians)
    times = ', '.join(f'{compiled[dtype]:.1f}' for dtype in DTYPES)
    return f'| {source} | {words} | {middle:.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}) | {times} |'


def main() -> None:
    """Prints a row for each config."""
    args = parse_arguments()
    print('| config | float32, ms | bfloat16, ms | ratio | compiled in, s |\n|---|---|---|---|---|')
    for source in args.configs:
        print(compare(source, args), flush=True)
        jax.clear_caches()


if __name__ == '__main__':
    main()
