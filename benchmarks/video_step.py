"""Times one train step of FRVSR with ping-pong on the CPU: JAX against PyTorch eager, in turn.

    python benchmarks/video_step.py --torch-python PATH [--features 24 --blocks 6]

JAX runs in the interpreter that runs this file; PATH is an interpreter that has PyTorch, in which
`video_step_torch.py` makes the same step when told to, warping by `grid_sample`. Both make the
small frames, run the clips forth and back, and take Adam's step; `--remat` has JAX compute frames
again in the backward pass, which PyTorch does not.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from benchmarks.train_steps import compiled_step, measure  # noqa: E402
from configs import video  # noqa: E402

NUMBERS = ('features', 'blocks', 'motion', 'batch', 'frames', 'crop', 'threads')


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--torch-python', metavar='PATH', help='an interpreter with PyTorch')
    defaults = dict(zip(NUMBERS, (24, 6, 8, 4, 5, 64, 2), strict=True))
    for name, value in {**defaults, 'rounds': 8}.items():
        parser.add_argument(f'--{name}', type=int, default=value)
    parser.add_argument('--remat', action='store_true')
    return parser.parse_args()


def main() -> None:
    """Time JAX alone, or in turn with PyTorch where an interpreter that has it is named."""
    args = parse_arguments()
    config = video.get_config('recurrent')
    config.model.update(
        features=args.features, num_blocks=args.blocks, motion_features=args.motion
    )
    config.data.update(crop_size=args.crop, frames=args.frames)
    config.loss.ping_pong.weight = 1.0
    config.train.remat = args.remat
    shape = (args.batch, args.frames, args.crop, args.crop, 3)
    step = compiled_step(config, {'hq': np.random.default_rng(0).random(shape, np.float32)})
    numbers = [getattr(args, name) for name in NUMBERS]
    measure(step, args.rounds, args.torch_python, 'video_step_torch.py', *numbers)


if __name__ == '__main__':
    main()
