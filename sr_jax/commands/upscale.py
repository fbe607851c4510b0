"""Enlarges images with a trained network: one of yours, or published weights by name.

  python -m sr_jax upscale photo.jpg --weights realesrgan-x4plus --output enlarged.png
  python -m sr_jax upscale photos/ --weights runs/mine --output enlarged/
  python -m sr_jax upscale photo.jpg --weights runs/srflow --temperature 0.8 --samples 5 --seed 1

Grey images stay grey; transparency, 16 bits, the colour profile and EXIF are kept, and the
orientation is applied. An image that fails is named, the others are done, and the exit status is
1.
"""

import argparse
import functools
import os
import time
from pathlib import Path

import jax
from tqdm import tqdm

from sr_jax.commands.shared import image_jobs, upscaler_arguments
from sr_jax.errors import InputError
from sr_jax.images.decoding import Layers
from sr_jax.images.files import check_suffix, image_size, read_layers, save_layers
from sr_jax.inference import networks
from sr_jax.inference.layers import enlarge
from sr_jax.inference.upscale import scale_size
from sr_jax.inference.upscaler import Upscaler
from sr_jax.pretrained.named import WEIGHTS

FORMATS = ('png', 'jpg', 'webp')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `sr-jax upscale`."""
    parser.add_argument(
        'images', nargs='+', metavar='IMAGE', type=Path, help='images, or folders of them'
    )
    parser.add_argument(
        '--weights',
        required=True,
        help='a run, a file of weights (.safetensors, .pth, .param), a mixture of several '
        '(a.pth:0.7,b.pth:0.3), or a name: '
        + ', '.join(name for name in WEIGHTS if not name.startswith('lpips')),
    )
    parser.add_argument(
        '--output',
        type=Path,
        default=Path('upscaled'),
        metavar='PATH',
        help='a folder, or for a single image a file (default: %(default)s)',
    )
    parser.add_argument(
        '--format', choices=FORMATS, default='png', help='of files in a folder (default: png)'
    )
    parser.add_argument(
        '--outscale',
        type=float,
        metavar='FACTOR',
        help="pixels along a side for each of the image's (default: the network's scale); any "
        "number: what the network makes is resized by Lanczos' filter",
    )
    upscaler_arguments.add(parser)
    parser.add_argument(
        '--best', action='store_true', help="take a run's best checkpoint instead of its newest"
    )


def run(arguments: argparse.Namespace) -> int:
    """Writes an enlarged image for each image.

    Returns:
      0, or 1 when an image could not be read, enlarged or written.

    Raises:
      InputError: no such weights or images, a network that does not enlarge, an output that
        cannot be written, or too little memory.
    """
    upscaler_arguments.check(arguments)
    if arguments.outscale is not None:
        scale_size((1, 1), arguments.outscale)
    paths = list(image_jobs.expand_paths(arguments.images))
    count = arguments.samples
    stems = [f'{path.stem}_{i}' if count > 1 else path.stem for path in paths for i in range(count)]
    files = _plan_files(stems, paths, arguments.output, arguments.format)
    weights = upscaler_arguments.read_weights(arguments)
    network = networks.load(weights, best=arguments.best)
    upscaler = upscaler_arguments.make(arguments, network)
    outscale = arguments.outscale or upscaler.scale
    print(
        f'{weights}: {network.model["name"]} of scale {upscaler.scale}, '
        f'{len(paths)} image(s) to {outscale:g} times their size on {jax.device_count()} '
        f'{jax.devices()[0].device_kind} device(s)'
    )
    if sizes := _read_sizes(paths):
        upscaler.prepare(sizes)

    def show(layers: Layers, own: list[Path]) -> None:
        height, width = layers.color.shape[:2]
        for sample, file in enumerate(own):
            begin = time.perf_counter()
            save_layers(file, _enlarge(layers, upscaler, outscale, file.name, sample))
            seconds = time.perf_counter() - begin
            print(f'{file}  {width}x{height} -> x{outscale:g} in {seconds:.1f} s')

    loads = [(path.stem, functools.partial(read_layers, path)) for path in paths]
    each = [files[i : i + count] for i in range(0, len(files), count)]
    return image_jobs.each_image(loads, each, show)


def _enlarge(
    layers: Layers, upscaler: Upscaler, outscale: float, name: str, sample: int
) -> Layers:
    """Returns an image enlarged, and shows a bar of progress under the name meanwhile."""
    with tqdm(desc=name, unit='tile', leave=False, disable=None) as bar:

        def progress(done: int, count: int) -> None:
            bar.total = count
            bar.update(done - bar.n)

        return enlarge(layers, upscaler, outscale, progress, sample)


def _plan_files(stems: list[str], paths: list[Path], output: Path, kind: str) -> list[Path]:
    """Returns the file of each result, after a look at whether it can be written there.

    Args:
      stems: of the results' names, where they go into a folder.
      paths: of the images.
      output: a folder, or a file for a single result.
      kind: of files in a folder.

    Raises InputError: a single file for several images, a result in the place of an image, or a
    folder that cannot be made or written.
    """
    if output.suffix and not output.is_dir():
        if len(stems) != 1:
            raise InputError(f'--output {output} is one file, but there are {len(stems)} images')
        check_suffix(output)
        files, folder = [output], output.parent
    else:
        files = list(image_jobs.name_targets(stems, output, f'.{kind}'))
        folder = output
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise InputError(f'{folder} cannot be written: take another folder (--output)')
    given = {path.resolve() for path in paths}
    for file in files:
        if file.resolve() in given:
            raise InputError(f'{file} would replace the image itself: take another --output')
    return files


def _read_sizes(paths: list[Path]) -> list[tuple[int, int]]:
    """Returns those of images that can be read; the others are named when their turn comes."""
    sizes = []
    for path in paths:
        try:
            sizes.append(image_size(path))
        except InputError:
            continue
    return sizes
