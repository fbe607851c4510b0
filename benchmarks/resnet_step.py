"""Times one train step of a ResNet classifier on the CPU: JAX against PyTorch eager, in turn.

    python benchmarks/resnet_step.py --torch-python PATH [--depth 50]

JAX runs in the interpreter that runs this file; PATH is an interpreter that has torchvision, in
which `resnet_step_torch.py` steps torchvision's network when told to. A step is the task's own:
forward, backward, SGD with Nesterov's momentum and the batch norms' moving averages. Rounds
alternate between the two, so that whatever else the machine does falls on both.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from benchmarks.train_steps import compiled_step, measure  # noqa: E402
from sr_jax.config.defaults import defaults  # noqa: E402


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


def main() -> None:
    """Time JAX alone, or in turn with PyTorch where an interpreter that has it is named."""
    args = parse_arguments()
    config = defaults('classification', model='resnet')
    config.model.depth = args.depth
    config.data.crop_size = args.crop
    config.optimizer.update(name='sgd', learning_rate=0.1, weight_decay=1e-4, schedule='constant')
    images = np.random.default_rng(0).random((args.batch, args.crop, args.crop, 3), np.float32)
    step = compiled_step(config, {'hq': images, 'label': np.arange(args.batch, dtype=np.int32)})
    numbers = (args.depth, args.batch, args.crop, args.threads)
    measure(step, args.rounds, args.torch_python, 'resnet_step_torch.py', *numbers)


if __name__ == '__main__':
    main()
