"""Converts weights: other people's files to ours, and ours to the names of the originals.

  python -m sr_jax convert RealESRGAN_x4plus.pth --output x4plus.safetensors
  python -m sr_jax convert runs/mine --original --output mine.safetensors

The network and its hyper-parameters are told from the names and shapes of the arrays. A file of
ours says what network it holds; one in the names of the original opens in the original's tools.
"""

import argparse
import json
from pathlib import Path

from sr_jax.errors import InputError
from sr_jax.inference import networks
from sr_jax.pretrained import files, recognition


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `sr-jax convert`."""
    parser.add_argument(
        'weights',
        metavar='WEIGHTS',
        help='a file (.safetensors, .pth, or .param of ncnn), a run, or published weights by name',
    )
    parser.add_argument(
        '--output',
        type=Path,
        required=True,
        metavar='FILE',
        help='what is written, .safetensors; with --original also .pth, where PyTorch is installed',
    )
    parser.add_argument(
        '--original',
        action='store_true',
        help='write the names and layouts of the original (PyTorch) instead of ours',
    )
    parser.add_argument(
        '--names',
        default='',
        metavar='PROGRAM',
        help='with --original: whose names, where several programs have the network (mmagic)',
    )
    parser.add_argument(
        '--activation',
        choices=('relu', 'leaky_relu'),
        help='of an SRVGGNetCompact in a file that does not tell it',
    )
    parser.add_argument(
        '--no-skips',
        action='store_true',
        help='of a U-Net discriminator in a file, which does not tell: it has no skips',
    )
    parser.add_argument(
        '--best', action='store_true', help="take a run's best checkpoint instead of its newest"
    )


def run(arguments: argparse.Namespace) -> int:
    """Writes the weights and prints what network they are of.

    Raises:
      InputError: no such weights, of a network that is not known here or that has no original, or
        the file cannot be written.
    """
    if arguments.names and not arguments.original:
        raise InputError('--names says whose names --original writes: add --original')
    told = {'activation': arguments.activation} if arguments.activation else {}
    told |= {'skips': False} if arguments.no_skips else {}
    network = networks.load(arguments.weights, best=arguments.best, told=told)
    name = network.model['name']
    if arguments.original:
        state = recognition.foreign_names(
            *(name, network.module(), network.variables, network.source),
            dialect=arguments.names,
        )
        files.write_original(arguments.output, state)
    else:
        networks.save(arguments.output, network)
    fields = {key: value for key, value in network.model.items() if key != 'name'}
    print(f'{arguments.output}: {name} {json.dumps(fields)}')
    return 0
