"""Enlarges images and films with a trained network: one of yours, or published weights by name.

  python -m sr_jax upscale photo.jpg --weights realesrgan-x4plus --output enlarged.png
  python -m sr_jax upscale photos/ --weights runs/mine --output enlarged/
  python -m sr_jax upscale photo.jpg --weights runs/srflow --temperature 0.8 --samples 5 --seed 1
  python -m sr_jax upscale film.mkv --weights realesr-animevideov3 --output film_4x.mkv

Grey images stay grey; transparency, 16 bits, animations, pages, the colour profile and what else
is said of an image are kept as far as the format can, and the orientation is applied. An image
that fails is named, the others are done, and the exit status is 1.

Of a film all other streams are copied, and times and colors kept. What was found is said first. It
is done in pieces, in a folder beside the output: after a crash or Ctrl-C the same command goes on.
"""

import argparse
import functools
import math
import sys
import time
from pathlib import Path
from typing import NamedTuple

import jax
from PIL import Image
from tqdm import tqdm

from sr_jax.commands.shared import (
    film_arguments,
    image_jobs,
    output_files,
    results,
    upscaler_arguments,
)
from sr_jax.commands.shared.image_jobs import NamedImage
from sr_jax.errors import InputError
from sr_jax.images.background import parse_color
from sr_jax.images.decoding import Outline
from sr_jax.images.encoding import Encoding
from sr_jax.images.files import read_outline
from sr_jax.inference import networks
from sr_jax.inference.image_file import enlarge_file
from sr_jax.inference.layers import scale_size
from sr_jax.inference.room import describe_disk
from sr_jax.pretrained.named import WEIGHTS


class Job(NamedTuple):
    """An image to enlarge.

    Attributes:
      image: the file, and what its results are called.
      outline: what its header tells; None where it cannot be read, which its turn will say.
      files: of its results, one for each sample.
    """

    image: NamedImage
    outline: Outline | None
    files: list[Path]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `sr-jax upscale`."""
    parser.add_argument(
        'images',
        nargs='+',
        metavar='IMAGE',
        type=Path,
        help='images, or folders of them; or films',
    )
    parser.add_argument(
        '--weights',
        required=True,
        help='a run, a file of weights (.safetensors, .pth, .param), a mixture of several '
        '(a.pth:0.7,b.pth:0.3), openmodeldb:NAME, or a name: '
        + ', '.join(name for name in WEIGHTS if not name.startswith('lpips')),
    )
    results.add_arguments(
        parser,
        'upscaled',
        'a folder, which gets the folders of the images; or for a single image or film a file; - '
        'gives a film as Y4M to the standard output',
    )
    output_files.add_arguments(parser)
    parser.add_argument(
        '--background',
        metavar='COLOR',
        help="what is laid behind transparent images: a name, '#rrggbb'",
    )
    parser.add_argument(
        '--max-pixels',
        type=int,
        metavar='N',
        help='of an image that is read; more are refused, as files made to fill the memory '
        f'(default: {Image.MAX_IMAGE_PIXELS})',
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
    film_arguments.add(parser)


def run(arguments: argparse.Namespace) -> int:
    """Writes an enlarged image for each image, or film for each film.

    Returns:
      0, 1 when one could not be read, enlarged or written, or 130 after Ctrl-C.

    Raises:
      InputError: no such weights or images, a network that does not enlarge, an output that
        cannot be written or is there already, or too little memory.
    """
    upscaler_arguments.check(arguments)
    if films := film_arguments.choose_films(arguments):
        from sr_jax.commands.shared import film_jobs  # needs PyAV

        return film_jobs.run(arguments, films)
    _check(arguments)
    jobs = _plan(arguments)
    if not jobs:
        print('nothing to do: all results are there')
        return 0
    weights = upscaler_arguments.read_weights(arguments)
    network = networks.load(weights, best=arguments.best)
    upscaler = upscaler_arguments.make(arguments, network)
    outscale = arguments.outscale or upscaler.scale
    print(
        f'{weights}: {network.model["name"]} of scale {upscaler.scale}, '
        f'{len(jobs)} image(s) to {outscale:g} times their size on {jax.device_count()} '
        f'{jax.devices()[0].device_kind} device(s)'
    )
    if warning := describe_disk(_count_bytes(jobs, outscale), jobs[0].files[0].parent):
        print(warning, file=sys.stderr)
    if sizes := [job.outline.size for job in jobs if job.outline]:
        upscaler.prepare(sizes)
    background = parse_color(arguments.background) if arguments.background else None
    how = Encoding(arguments.quality, arguments.lossless)

    def show(image: NamedImage, files: list[Path]) -> None:
        for sample, file in enumerate(files):
            begin = time.perf_counter()
            with tqdm(desc=file.name, unit='tile', leave=False, disable=None) as bar:
                outline = enlarge_file(
                    image.path,
                    file,
                    upscaler,
                    outscale,
                    background=background,
                    how=how,
                    sample=sample,
                    progress=functools.partial(_show_progress, bar),
                    report=lambda line, file=file: print(f'{file}: {line}'),  # type: ignore[misc]
                )
            seconds = time.perf_counter() - begin
            height, width = outline.size
            print(f'{file}  {width}x{height} -> x{outscale:g} in {seconds:.1f} s')

    loads = [(job.image.path.name, functools.partial(_get_image, job)) for job in jobs]
    return image_jobs.each_image(loads, [job.files for job in jobs], show)


def _check(arguments: argparse.Namespace) -> None:
    """Raises InputError for arguments that cannot be meant."""
    output_files.check(arguments)
    if arguments.outscale is not None:
        scale_size((1, 1), arguments.outscale)
    if arguments.background:
        parse_color(arguments.background)
    if arguments.max_pixels is not None:
        if arguments.max_pixels < 1:
            raise InputError(f'--max-pixels {arguments.max_pixels}: it must be at least 1')
        Image.MAX_IMAGE_PIXELS = arguments.max_pixels


def _plan(arguments: argparse.Namespace) -> list[Job]:
    """Returns what is to be done.

    Raises:
      InputError: no such images, or results that cannot be written or are there already.
    """
    file = output_files.single_file(arguments.output, arguments.images, arguments.samples)
    folder = file.parent if file else Path(arguments.output)
    images = image_jobs.find_images(arguments.images, None if file else folder)
    outlines = [_read_outline(image.path) for image in images]
    count = arguments.samples
    if file:
        each = [[file]]
    else:
        names = [f'{i.name}_{k}' if count > 1 else i.name for i in images for k in range(count)]
        suffixes = [output_files.choose_suffix(arguments, outline) for outline in outlines]
        files = results.name_files(names, folder, [s for s in suffixes for _ in range(count)])
        each = [files[i : i + count] for i in range(0, len(files), count)]
    results.prepare([file for own in each for file in own], [i.path for i in images], folder)
    wanted = results.find_missing(arguments, each)
    jobs = [Job(*parts) for parts in zip(images, outlines, each, strict=True)]
    return [job for job, missing in zip(jobs, wanted, strict=True) if missing]


def _count_bytes(jobs: list[Job], outscale: float) -> int:
    """Returns about how many bytes the results take uncompressed, with 8 bits a channel."""
    total = 0
    for _, outline, files in jobs:
        if outline:
            images = outline.frames * outline.pages * len(files)
            total += 3 * math.prod(scale_size(outline.size, outscale)) * images
    return total


def _read_outline(path: Path) -> Outline | None:
    try:
        return read_outline(path)
    except InputError:
        return None


def _get_image(job: Job) -> NamedImage:
    return job.image


def _show_progress(bar: tqdm, done: int, count: int) -> None:
    """Moves a bar to so many tiles of all frames."""
    bar.total = count
    bar.update(done - bar.n)
