"""How a network enlarges images, and how many a flow draws, as the command line says it."""

import argparse
from collections.abc import Callable

from sr_jax.commands.shared import results
from sr_jax.config.settings import PRODUCTS
from sr_jax.devices.compiling import advise_dtype
from sr_jax.errors import InputError
from sr_jax.inference import mixtures
from sr_jax.inference.networks import LoadedNetwork
from sr_jax.inference.options import check_option
from sr_jax.inference.upscaler import Upscaler
from sr_jax.tasks.task import DTYPES


def add(parser: argparse._ActionsContainer) -> None:
    """Adds the arguments that `make` reads."""
    parser.add_argument('--dtype', choices=DTYPES, default='float32', help='computed in')
    parser.add_argument(
        '--tile',
        type=int,
        default=0,
        metavar='PIXELS',
        help='longest side of a part enlarged at a time, halo included (default: as memory '
        'allows); unless --halo is given, the halo is then at most a quarter of it',
    )
    parser.add_argument(
        '--halo',
        type=int,
        metavar='PIXELS',
        help='overlap of the parts (default: as far as the network looks, so that the parts are '
        'exactly the whole; with realesrgan-x4plus 64 is much faster, and off by less than one '
        'of 256 levels)',
    )
    parser.add_argument(
        '--memory',
        type=float,
        metavar='GIB',
        help='that may be taken of a device (default: what there is)',
    )
    parser.add_argument(
        '--shard-spatially',
        action='store_true',
        help='split each image over all devices by rows instead of cutting it into parts',
    )
    parser.add_argument(
        '--products',
        choices=PRODUCTS,
        default='auto',
        help='of convolutions on CPUs: few are quicker and the same but for rounding, '
        'and compiled longer (default: few where there is work enough)',
    )
    parser.add_argument(
        '--denoise',
        type=float,
        metavar='STRENGTH',
        help=f'0 to 1, of {mixtures.GENERAL}: so much of it, and of its twin that keeps noise, '
        'which lies beside it, the rest',
    )
    _add_sampling(parser)
    parser.add_argument(
        '--consistent',
        action='store_true',
        help='change each result by the least with which, shrunk bicubically, it is the given '
        'image; for images that were shrunk so',
    )


def _add_sampling(parser: argparse._ActionsContainer) -> None:
    parser.add_argument(
        '--temperature',
        '--heat',
        type=float,
        default=0.0,
        help='of a flow: how far the images that it draws are from the most likely one, 0 (the '
        'default) to 1',
    )
    parser.add_argument(
        '--samples',
        type=int,
        default=1,
        metavar='N',
        help='of a flow: how many are drawn of each image',
    )
    parser.add_argument(
        '--seed', type=int, default=0, help='of a flow: the same seed draws the same images'
    )


def list_given(arguments: argparse.Namespace) -> list[str]:
    """Returns those of the arguments that `make` reads which are not as when left out."""
    left_out = dict(dtype='float32', tile=0, halo=None, memory=None, shard_spatially=False)
    left_out |= dict(products='auto', temperature=0.0, samples=1, seed=0, consistent=False)
    left_out |= dict(denoise=None)
    changed = [name for name, value in left_out.items() if getattr(arguments, name) != value]
    return [f'--{name.replace("_", "-")}' for name in changed]


def check(arguments: argparse.Namespace) -> None:
    """Raises InputError for numbers that cannot be meant."""
    for name in ('tile', 'halo', 'memory', 'temperature', 'seed'):
        value = getattr(arguments, name)
        if value is not None:
            check_option(name, value, f'--{name}')
    if arguments.memory is not None and not _count_bytes(arguments):
        raise InputError(f'--memory {arguments.memory}: nothing can be computed in no memory')
    if arguments.denoise is not None and not 0 <= arguments.denoise <= 1:
        raise InputError(f'--denoise {arguments.denoise}: it must be from 0 to 1')
    results.check_numbers(arguments, {'samples': 1})
    if arguments.samples > 1 and not arguments.temperature:
        raise InputError(
            f'--samples {arguments.samples}: with more than 1 there must be a --temperature, or '
            'they would all be the same'
        )


def _count_bytes(arguments: argparse.Namespace) -> int:
    """Returns the bytes of a device that may be taken; 0 = what there is."""
    return int((arguments.memory or 0) * 2**30)


def read_weights(arguments: argparse.Namespace) -> str:
    """Returns what to load: --weights, or with --denoise its mixture with its twin.

    Raises:
      InputError: there is no twin.
    """
    if arguments.denoise is None:
        return arguments.weights
    return mixtures.mix_denoising(arguments.weights, arguments.denoise)


def make(
    arguments: argparse.Namespace,
    network: LoadedNetwork,
    bounded: bool = True,
    report: Callable[[str], None] = print,
) -> Upscaler:
    """Returns the network ready to enlarge.

    Args:
      arguments: of the command line.
      network: that was loaded.
      bounded: whether images lie in [0, 1]; False for films.
      report: is given a line about each window that it takes, and about a faster type.

    Raises:
      InputError: the network does not enlarge, or a halo or a tile where it can have none.
    """
    upscaler = Upscaler(
        network,
        halo=arguments.halo,
        tile=arguments.tile,
        dtype=arguments.dtype,
        memory_limit=_count_bytes(arguments),
        spatially=arguments.shard_spatially,
        temperature=arguments.temperature,
        seed=arguments.seed,
        consistent=arguments.consistent,
        bounded=bounded,
        products=arguments.products,
        report=report,
    )
    if advice := advise_dtype(upscaler.mesh.devices.flat[0], arguments.dtype, '--dtype bfloat16'):
        report(advice)
    return upscaler
