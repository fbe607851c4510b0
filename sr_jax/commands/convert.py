"""Converts weights: other people's files to ours, and ours to the names of the originals.

  python -m sr_jax convert RealESRGAN_x4plus.pth --output x4plus.safetensors
  python -m sr_jax convert runs/mine --original --output mine.safetensors
  python -m sr_jax convert runs/mine --output mine.onnx
  python -m sr_jax convert runs/mine --output mine.param

The network and its hyper-parameters are told from the names and shapes of the arrays. A file of
ours says what network it holds; one in the names of the original opens in the original's tools;
.onnx and .stablehlo are programs that run without us, .param and .bin are ncnn's.
"""

import argparse
import json
import re
from pathlib import Path

from sr_jax.errors import InputError
from sr_jax.inference import exported, networks
from sr_jax.pretrained import files, ncnn_writer, recognition

NCNN = '.param'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `sr-jax convert`."""
    parser.add_argument(
        'weights',
        metavar='WEIGHTS',
        help='a file (.safetensors, .pth, or .param of ncnn), a run, published weights by name, or '
        'openmodeldb:NAME',
    )
    parser.add_argument(
        '--output',
        type=Path,
        required=True,
        metavar='FILE',
        help='what is written: .safetensors, .onnx (with the extra onnx), .stablehlo, or .param of '
        'ncnn, with .bin beside it; with --original .safetensors, or .pth where PyTorch is '
        'installed',
    )
    parser.add_argument(
        '--size',
        type=_read_size,
        metavar='HEIGHTxWIDTH',
        help='of .onnx and .stablehlo: for one image of these sides; without it for any',
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
    name, note = network.model['name'], ''
    if arguments.output.suffix in (exported.ONNX, exported.STABLEHLO):
        note = _write_program(arguments, network)
    elif arguments.size:
        raise InputError(f'{arguments.output}: a --size is for .onnx and .stablehlo')
    elif arguments.output.suffix == NCNN and not arguments.original:
        layers = recognition.ncnn_layers(
            *(name, network.module(), network.variables, network.source)
        )
        ncnn_writer.write(arguments.output, *layers)
    elif arguments.original:
        state = recognition.foreign_names(
            *(name, network.module(), network.variables, network.source),
            dialect=arguments.names,
        )
        files.write_original(arguments.output, state)
    else:
        networks.save(arguments.output, network)
    fields = {key: value for key, value in network.model.items() if key != 'name'}
    print(f'{arguments.output}: {name} {json.dumps(fields)}{note}')
    return 0


def _write_program(arguments: argparse.Namespace, network: networks.LoadedNetwork) -> str:
    """Writes a program; returns what is to be said of it."""
    path = arguments.output
    if arguments.original:
        raise InputError(f'{path}: --original is for weights, .safetensors and .pth')
    if path.suffix == exported.STABLEHLO:
        exported.write_stablehlo(path, network, arguments.size)
        return f'; for {" and ".join(exported.PLATFORMS)}'
    difference = exported.write_onnx(path, network, arguments.size)
    note = f'; differs by {difference:.1e} of the largest value'
    if difference < exported.MAX_ERROR:
        return note
    return f'{note}, as its own image does where its input is rounded otherwise'


def _read_size(text: str) -> exported.Size:
    found = re.fullmatch(r'([1-9]\d*)x([1-9]\d*)', text)
    if not found:
        raise argparse.ArgumentTypeError(f'{text!r} is no size, such as 48x64')
    return int(found[1]), int(found[2])
