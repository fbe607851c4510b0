"""Measures whole images, a network's or those in a folder, against the true ones.

  python -m sr_jax benchmark folder:Set14 --weights realesrgan-x4plus --lpips alex
  python -m sr_jax benchmark folder:Set14 --results enlarged/ --scale 4
  python -m sr_jax benchmark folder:Set14 --weights runs/srflow --temperature 0.8 --samples 5
  python -m sr_jax benchmark frames:Vid4 --weights runs/video --degradation gaussian

A table: PSNR and SSIM by one or more protocols, LPIPS, FID, and how well the result, shrunk again,
agrees with the small image; the same for bicubic enlargement. Of several samples that a flow draws:
the means, and how far apart they are (diversity, in levels of 255). Of clips, a row for each film:
what its frames have on average, and how it moves (tOF, warping error, flicker, tLP).

The images go through one by one. One that fails is named, and the others are done.
"""

import argparse
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sr_jax.commands.shared import (
    benchmark_clips,
    benchmark_images,
    measures,
    upscaler_arguments,
)
from sr_jax.commands.shared.benchmark_images import BenchmarkImage
from sr_jax.commands.shared.image_jobs import each_image
from sr_jax.commands.shared.scores import BICUBIC, DIVERSITY, Scores
from sr_jax.commands.shared.table import Table, check_place, write_json
from sr_jax.data.benchmark import Benchmark, open_benchmark
from sr_jax.data.sources import frames
from sr_jax.data.sources.paired import scale_of
from sr_jax.errors import InputError
from sr_jax.inference import networks
from sr_jax.inference.upscaler import Upscaler
from sr_jax.metrics.fid import RESIZES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `sr-jax benchmark`."""
    parser.add_argument(
        'source',
        metavar='SOURCE',
        help="the true images: 'folder:<path>', 'lmdb:<folder>', 'paired:<folder of hq>:"
        "<folder of lq>', 'tfds:<name>' or 'photos'; unless it is paired, the small ones are made "
        "of them by the bicubic degradation; or clips: 'frames:<folder of folders>'",
    )
    parser.add_argument(
        '--weights',
        metavar='NETWORK',
        help='what enlarges: a run, a file of weights, or the name of published ones, as `upscale` '
        'takes them',
    )
    parser.add_argument(
        '--results',
        type=Path,
        metavar='FOLDER',
        help='measure the images in a folder, by the names of the true ones, instead of a '
        "network's",
    )
    parser.add_argument(
        '--scale',
        type=int,
        metavar='N',
        help='of the images in --results: to make small ones by, and to compare with bicubic',
    )
    parser.add_argument(
        '--degradation',
        choices=tuple(benchmark_clips.SMALL),
        default='bicubic',
        help='how the small frames of clips are made; gaussian, a blur of 1.5 pixels and every '
        'n-th pixel, as recurrent networks are trained with (default: %(default)s)',
    )
    _add_measures(parser.add_argument_group('what is measured'))
    network = parser.add_argument_group('how a network enlarges')
    upscaler_arguments.add(network)
    network.add_argument(
        '--best', action='store_true', help="take a run's best checkpoint instead of its newest"
    )


def _add_measures(group: argparse._ActionsContainer) -> None:
    group.add_argument(
        '--protocol',
        metavar='NAMES',
        help='how PSNR and SSIM are measured, such as rgb_crop0, or y_matlab_crop4,rgb_crop4 '
        '(default: Y and RGB, the scale cropped at every edge)',
    )
    measures.add_lpips(group)
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
    group.add_argument(
        '--json',
        type=Path,
        metavar='FILE',
        help="write the numbers to a file as well; one that is not finite is 'inf' in it",
    )


def run(arguments: argparse.Namespace) -> int:
    """Prints a row of numbers for each image, and their means.

    Returns:
      0, or 1 when an image could not be measured.

    Raises:
      InputError: no such network, images, protocol or weights, or what does not go together.
    """
    _check(arguments)
    if benchmark_clips.has_clips(arguments.source):
        return benchmark_clips.run(arguments)
    benchmark = open_benchmark(arguments.source, arguments.results)
    if arguments.fid and len(benchmark.names) < 2:
        raise InputError(f'--fid needs at least two images, and {arguments.source} has one')
    upscaler, scale = _load_upscaler(arguments, benchmark)
    scores, table = _make_scores(arguments, benchmark, scale)
    small = arguments.source if benchmark.lq else 'bicubic' if scale else None
    print(
        f'{arguments.weights or arguments.results}: {len(benchmark.names)} image(s) of '
        f'{arguments.source}, '
        + (f'scale {scale}, small images: {small}' if scale else 'scale not said')
    )
    if upscaler and (sizes := benchmark_images.read_small_sizes(benchmark, upscaler.scale)):
        upscaler.prepare(sizes)
    table.heading()
    status = each_image(*_list_jobs(benchmark, scale), _show(scores, upscaler, arguments.samples))
    found = scores.finish()
    if arguments.json:
        results = None if arguments.results is None else str(arguments.results)
        record = {
            **{'network': arguments.weights, 'results': results},
            **{'benchmark': arguments.source, 'scale': scale, 'small_images': small},
            'mean': found,
            'images': scores.rows,
            'failed': [name for name in benchmark.names if name not in scores.rows],
        }
        write_json(arguments.json, record)
    return status


def _check(arguments: argparse.Namespace) -> None:
    """Raises InputError for arguments that do not go together, or cannot be meant."""
    if (arguments.weights is None) == (arguments.results is None):
        raise InputError('name either a network (--weights) or a folder of --results')
    if arguments.results is None and arguments.scale is not None:
        raise InputError('--scale is for --results: a network has its own scale')
    if arguments.results is not None:
        wrong = ['--best'] if arguments.best else upscaler_arguments.list_given(arguments)
        if wrong:
            raise InputError(f'{wrong[0]} is for a network, not for --results')
    if arguments.scale is not None and arguments.scale < 1:
        raise InputError(f'--scale {arguments.scale}: it must be at least 1')
    if arguments.degradation != 'bicubic' and not benchmark_clips.has_clips(arguments.source):
        raise InputError(f'--degradation {arguments.degradation} is for clips, {frames.FORM}')
    check_place(arguments.json)
    upscaler_arguments.check(arguments)


def _load_upscaler(
    arguments: argparse.Namespace, benchmark: Benchmark
) -> tuple[Upscaler | None, int | None]:
    """Returns the network, unless a folder of results stands for it; and the scale, if known."""
    if arguments.results is not None:
        if arguments.scale is None and benchmark.lq is not None:
            return None, scale_of(benchmark.hq, benchmark.lq)
        return None, arguments.scale
    weights = upscaler_arguments.read_weights(arguments)
    network = networks.load(weights, best=arguments.best)
    upscaler = upscaler_arguments.make(arguments, network)
    return upscaler, upscaler.scale


def _make_scores(
    arguments: argparse.Namespace, benchmark: Benchmark, scale: int | None
) -> tuple[Scores, Table]:
    """Returns what measures the images, and the table that shows them."""
    protocols = measures.read_protocols(arguments.protocol, scale)
    perceptual = measures.load_perceptual(arguments.lpips or ())
    measure = measures.Measures(protocols, perceptual, scale)
    distance = measures.load_fid(arguments.fid, arguments.fid_resize) if arguments.fid else None
    columns = [*measure.names, *([DIVERSITY] if arguments.samples > 1 else [])]
    table = Table([*benchmark.names, f'{BICUBIC}, mean'], columns)
    return Scores(measure, table, scale, distance), table


def _list_jobs(
    benchmark: Benchmark, scale: int | None
) -> tuple[list[tuple[str, Callable[[], BenchmarkImage]]], list[Path]]:
    """Returns what `each_image` takes: names and what loads them; and paths, here of the names."""
    loads: list[tuple[str, Callable[[], BenchmarkImage]]] = [
        (name, functools.partial(benchmark_images.load, benchmark, scale, i))
        for i, name in enumerate(benchmark.names)
    ]
    return loads, [Path(name) for name in benchmark.names]


def _show(scores: Scores, upscaler: Upscaler | None, samples: int) -> Callable[[Any, Path], None]:
    def show(example: BenchmarkImage, _: Path) -> None:
        if example.result is not None:
            scores.add(example, [example.result])
        else:
            assert upscaler is not None and example.lq is not None  # there is a scale
            enlarge = functools.partial(upscaler, example.lq)
            scores.add(example, [enlarge(sample=i) for i in range(samples)])

    return show
