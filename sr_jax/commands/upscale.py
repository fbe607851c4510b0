"""Enlarges pictures with a trained network: one of yours, or published weights by name.

  python -m sr_jax upscale photo.jpg --weights realesrgan-x4plus --output enlarged.png
  python -m sr_jax upscale photos/ --weights runs/mine --output enlarged/
  python -m sr_jax upscale photo.jpg --weights runs/srflow --heat 0.8 --samples 5 --seed 1

Grey pictures stay grey; transparency, 16 bits, the colour profile and EXIF are kept, and the
orientation is applied. A picture that fails is named, the others are done, and the exit status is
1.
"""

import argparse
import functools
import os
import time
from pathlib import Path

import jax
import numpy as np
from tqdm import tqdm

from sr_jax import image_io, networks
from sr_jax.commands import pictures, upscaler_arguments
from sr_jax.errors import InputError
from sr_jax.pretrained.named import WEIGHTS
from sr_jax.upscaling import Upscaler, outscaled

HELP = 'enlarge pictures with a trained network or published weights'
FORMATS = ('png', 'jpg', 'webp')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `python -m sr_jax upscale`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        'pictures', nargs='+', metavar='PICTURE', type=Path, help='pictures, or folders of them'
    )
    parser.add_argument(
        '--weights',
        required=True,
        help='a run, a file of weights (.safetensors, .pth, .param), or a name: '
        + ', '.join(name for name in WEIGHTS if not name.startswith('lpips')),
    )
    parser.add_argument(
        '--output',
        type=Path,
        default=Path('upscaled'),
        metavar='PATH',
        help='a folder, or for a single picture a file (default: %(default)s)',
    )
    parser.add_argument(
        '--format', choices=FORMATS, default='png', help='of files in a folder (default: png)'
    )
    parser.add_argument(
        '--outscale',
        type=float,
        metavar='FACTOR',
        help="pixels along a side for each of the picture's (default: the network's scale); any "
        "number: what the network makes is resized by Lanczos' filter",
    )
    upscaler_arguments.add(parser)
    parser.add_argument(
        '--best', action='store_true', help="take a run's best checkpoint instead of its newest"
    )


def run(arguments: argparse.Namespace) -> int:
    """Writes an enlarged picture for each picture.

    Returns:
      0, or 1 when a picture could not be read, enlarged or written.

    Raises:
      InputError: no such weights or pictures, a network that does not enlarge, an output that
        cannot be written, or too little memory.
    """
    upscaler_arguments.check(arguments)
    if arguments.outscale is not None:
        outscaled((1, 1), arguments.outscale)
    paths = list(pictures.expand(arguments.pictures))
    count = arguments.samples
    stems = [f'{path.stem}_{i}' if count > 1 else path.stem for path in paths for i in range(count)]
    files = _files(stems, paths, arguments.output, arguments.format)
    network = networks.load(arguments.weights, best=arguments.best)
    upscaler = upscaler_arguments.make(arguments, network)
    outscale = arguments.outscale or upscaler.scale
    print(
        f'{arguments.weights}: {network.model["name"]} of scale {upscaler.scale}, '
        f'{len(paths)} picture(s) to {outscale:g} times their size on {jax.device_count()} '
        f'{jax.devices()[0].device_kind} device(s)'
    )
    if sizes := _readable_sizes(paths):
        upscaler.prepare(sizes)

    def show(layers: image_io.Layers, own: list[Path]) -> None:
        height, width = layers.colour.shape[:2]
        for sample, file in enumerate(own):
            begin = time.perf_counter()
            image_io.save_layers(file, enlarge(layers, upscaler, outscale, file.name, sample))
            seconds = time.perf_counter() - begin
            print(f'{file}  {width}x{height} -> x{outscale:g} in {seconds:.1f} s')

    loads = [(path.stem, functools.partial(image_io.read_layers, path)) for path in paths]
    each = [files[i : i + count] for i in range(0, len(files), count)]
    return pictures.each_picture(loads, each, show)


def enlarge(
    layers: image_io.Layers, upscaler: Upscaler, outscale: float, name: str, sample: int = 0
) -> image_io.Layers:
    """A picture with all that belongs to it, enlarged.

    A network enlarges the colours, and transparency as if it were a grey picture; of grey pictures
    the mean of its three channels is kept.

    Args:
      layers: the picture.
      upscaler: the network.
      outscale: output pixels per pixel along a side.
      name: what the bar of progress calls the picture.
      sample: which of those that a flow draws.
    """
    size = outscaled(layers.colour.shape[:2], outscale)
    with tqdm(desc=name, unit='tile', leave=False, disable=None) as bar:

        def progress(done: int, count: int) -> None:
            bar.total = count
            bar.update(done - bar.n)

        colour = image_io.resized(upscaler(layers.colour, progress, sample), size)
        alpha = layers.alpha
        if alpha is not None:
            bar.reset()
            grey = upscaler(np.repeat(alpha, 3, axis=-1), progress, sample)
            alpha = _grey(image_io.resized(grey, size))
    if layers.is_grey:
        colour = np.repeat(_grey(colour), 3, axis=-1)
    return layers._replace(colour=colour, alpha=alpha)


def _grey(pixels: np.ndarray) -> np.ndarray:
    """The mean of the channels, rounded."""
    return np.rint(pixels.mean(axis=-1, keepdims=True, dtype=np.float32)).astype(pixels.dtype)


def _files(stems: list[str], paths: list[Path], output: Path, kind: str) -> list[Path]:
    """The file of each result, after a look at whether it can be written there.

    Args:
      stems: of the results' names, where they go into a folder.
      paths: of the pictures.
      output: a folder, or a file for a single result.
      kind: of files in a folder.

    Raises InputError: a single file for several pictures, a result in the place of a picture, or a
    folder that cannot be made or written.
    """
    if output.suffix and not output.is_dir():
        if len(stems) != 1:
            raise InputError(f'--output {output} is one file, but there are {len(stems)} pictures')
        image_io.check_suffix(output)
        files, folder = [output], output.parent
    else:
        files = list(pictures.targets(stems, output, f'.{kind}'))
        folder = output
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise InputError(f'{folder} cannot be written: take another folder (--output)')
    given = {path.resolve() for path in paths}
    for file in files:
        if file.resolve() in given:
            raise InputError(f'{file} would replace the picture itself: take another --output')
    return files


def _readable_sizes(paths: list[Path]) -> list[tuple[int, int]]:
    """Of the pictures that can be read; the others are named when their turn comes."""
    sizes = []
    for path in paths:
        try:
            sizes.append(image_io.size(path))
        except InputError:
            continue
    return sizes
