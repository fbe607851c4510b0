"""Times one train step of RRDBNet on the CPU: JAX against PyTorch eager, in turn.

    python benchmarks/rrdb_step.py --torch-python PATH [--blocks 4 --dtype bfloat16]

JAX runs in the interpreter that runs this file; PATH is an interpreter that has PyTorch, in which
`rrdb_step_torch.py` makes the same step when told to: the small images, the enlarged ones, their
absolute error, and Adam. How long ours takes to trace and to compile is printed too.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from benchmarks.train_steps import compiled_step, measure  # noqa: E402
from configs import rrdb  # noqa: E402

NUMBERS = ('features', 'growth', 'blocks', 'batch', 'crop', 'threads')


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--torch-python', metavar='PATH', help='an interpreter with PyTorch')
    defaults = dict(zip(NUMBERS, (64, 32, 4, 4, 128, 2), strict=True))
    for name, value in {**defaults, 'rounds': 12}.items():
        parser.add_argument(f'--{name}', type=int, default=value)
    parser.add_argument('--dtype', default='float32', help="of JAX's step")
    parser.add_argument('--products', default='auto', help='see `config.train`')
    parser.add_argument('--apart', action='store_true', help='blocks are not stacked')
    return parser.parse_args()


def main() -> None:
    """Time JAX alone, or in turn with PyTorch where an interpreter that has it is named."""
    args = parse_arguments()
    config = rrdb.get_config()
    config.dtype, config.train.products = args.dtype, args.products
    config.model.update(features=args.features, growth=args.growth, num_blocks=args.blocks)
    config.optimizer.ema_decay = 0.0
    shape = (args.batch, args.crop, args.crop, 3)
    batch = {'hq': np.random.default_rng(0).random(shape, np.float32)}
    step = compiled_step(config, batch, stacked=not args.apart)
    numbers = [getattr(args, name) for name in NUMBERS]
    measure(step, args.rounds, args.torch_python, 'rrdb_step_torch.py', *numbers)


if __name__ == '__main__':
    main()
