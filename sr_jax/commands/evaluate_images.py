"""`evaluate` over whole images: a network's, or those in a folder, against the true ones.

The images go through one by one. One that fails is named, and the others are done.
"""

import argparse
import functools
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sr_jax.commands.shared import benchmark_images, measures, upscaler_arguments
from sr_jax.commands.shared.benchmark_images import BenchmarkImage
from sr_jax.commands.shared.image_jobs import each_image
from sr_jax.commands.shared.table import Table, check_place, write_json
from sr_jax.data.benchmark import Benchmark, open_benchmark
from sr_jax.data.sources.paired import scale_of
from sr_jax.errors import InputError
from sr_jax.images.decoding import ImageError, to_float, to_uint8
from sr_jax.inference import networks
from sr_jax.inference.upscaler import Upscaler
from sr_jax.metrics import fid
from sr_jax.metrics.diversity import diversity
from sr_jax.metrics.fid import Fid, ImageSet

DIVERSITY = 'diversity'
BICUBIC = 'bicubic'  # what small images are enlarged by for comparison


class Evaluation:
    """Measures images, prints a row for each, and keeps the numbers.

    Args:
      measure: of one image.
      table: that the rows go to.
      scale: of the enlargement; None: there is no bicubic one to compare with.
      distance: FID of all the images, where it is asked for.
    """

    def __init__(
        self,
        measure: measures.Measures,
        table: Table,
        scale: int | None,
        distance: Fid | None,
    ):
        self.rows: dict[str, dict[str, dict[str, float]]] = {}  # by image, by who enlarged it
        self._measure = measure
        self._table = table
        self._scale = scale
        self._distance = distance
        kinds = ('hq', 'result', BICUBIC) if scale else ('hq', 'result')
        self._sets = {kind: ImageSet(distance) for kind in kinds} if distance else {}

    def add(self, example: BenchmarkImage, results: Sequence[np.ndarray]) -> None:
        """Measures what was made of an image, as if saved with 8 bits.

        Of several results the numbers' means are kept, and their `diversity`; FID sees the first.

        Raises InputError, naming the image, where a measure cannot be taken of it.
        """
        drawn = [_rounded(result) for result in results]
        images = {'result': drawn[0]}
        if self._scale and example.lq is not None:
            enlarged = benchmark_images.enlarged_bicubically(example.lq, self._scale)
            images[BICUBIC] = _rounded(enlarged)
        hq = _rounded(example.hq)
        try:
            row = {kind: self._measure(image, hq, example.lq) for kind, image in images.items()}
            others = [self._measure(image, hq, example.lq) for image in drawn[1:]]
        except InputError as error:
            raise ImageError(example.name, str(error)) from error
        if others:
            row['result'] = measures.means([row['result'], *others])
            row['result'][DIVERSITY] = diversity(drawn)
        self.rows[example.name] = row
        self._table.row(example.name, row['result'])
        if self._sets:
            for kind, image in {**images, 'hq': hq}.items():
                self._sets[kind].add(image)

    def finish(self) -> dict[str, dict[str, float]]:
        """Prints the means and FID, and returns them by who enlarged."""
        if not self.rows:
            return {}
        found: dict[str, dict[str, float]] = {}
        for kind in next(iter(self.rows.values())):
            found[kind] = measures.means([row[kind] for row in self.rows.values()])
            self._table.row('mean' if kind == 'result' else f'{kind}, mean', found[kind])
        if self._distance is not None and len(self.rows) < 2:
            print('note: no FID, for fewer than two images could be measured', file=sys.stderr)
        elif self._distance is not None:
            true = self._sets['hq'].statistics()
            for kind, numbers in found.items():
                distance = fid.frechet_distance(self._sets[kind].statistics(), true)
                numbers[self._distance.name] = distance
                print(f'{self._distance.name}, {kind}: {distance:.3f}')
            if warning := fid.few_images(true.number, true.mean.size):
                print(f'note: {warning}', file=sys.stderr)
        return found


def run(arguments: argparse.Namespace) -> int:
    """Prints a row of numbers for each image, and their means.

    Returns:
      0, or 1 when an image could not be measured.

    Raises:
      InputError: no such network, images, protocol or weights, or what does not go together.
    """
    check_place(arguments.json)
    upscaler_arguments.check(arguments)
    benchmark = open_benchmark(arguments.benchmark, arguments.results)
    if arguments.fid and len(benchmark.names) < 2:
        raise InputError(f'--fid needs at least two images, and {arguments.benchmark} has one')
    upscaler, scale = _upscaler(arguments, benchmark)
    protocols = measures.protocols(arguments.protocol, scale)
    perceptual = measures.perceptual(arguments.lpips or ())
    measure = measures.Measures(protocols, perceptual, scale)
    distance = measures.load_fid(arguments.fid, arguments.fid_resize) if arguments.fid else None
    small = arguments.benchmark if benchmark.lq else 'bicubic' if scale else None
    print(
        f'{arguments.checkpoint or arguments.results}: {len(benchmark.names)} image(s) of '
        f'{arguments.benchmark}, '
        + (f'scale {scale}, small images: {small}' if scale else 'scale not said')
    )
    if upscaler and (sizes := benchmark_images.small_sizes(benchmark, upscaler.scale)):
        upscaler.prepare(sizes)
    columns = [*measure.names, *([DIVERSITY] if arguments.samples > 1 else [])]
    table = Table([*benchmark.names, f'{BICUBIC}, mean'], columns)
    evaluation = Evaluation(measure, table, scale, distance)
    table.heading()
    status = each_image(*_jobs(benchmark, scale), _show(evaluation, upscaler, arguments.samples))
    found = evaluation.finish()
    if arguments.json:
        record = {
            **{'network': arguments.checkpoint, 'results': _text(arguments.results)},
            **{'benchmark': arguments.benchmark, 'scale': scale, 'small_images': small},
            'mean': found,
            'images': evaluation.rows,
            'failed': [name for name in benchmark.names if name not in evaluation.rows],
        }
        write_json(arguments.json, record)
    return status


def _upscaler(
    arguments: argparse.Namespace, benchmark: Benchmark
) -> tuple[Upscaler | None, int | None]:
    """The network, unless a folder of results stands for it; and the scale, where it is known."""
    if arguments.results is not None:
        if arguments.scale is None and benchmark.lq is not None:
            return None, scale_of(benchmark.hq, benchmark.lq)
        return None, arguments.scale
    network = networks.load(arguments.checkpoint, best=arguments.best)
    upscaler = upscaler_arguments.make(arguments, network)
    return upscaler, upscaler.scale


def _jobs(
    benchmark: Benchmark, scale: int | None
) -> tuple[list[tuple[str, Callable[[], BenchmarkImage]]], list[Path]]:
    """What `each_image` takes: names and what loads them; and paths, here only of the names."""
    loads: list[tuple[str, Callable[[], BenchmarkImage]]] = [
        (name, functools.partial(benchmark_images.load, benchmark, scale, i))
        for i, name in enumerate(benchmark.names)
    ]
    return loads, [Path(name) for name in benchmark.names]


def _show(
    evaluation: Evaluation, upscaler: Upscaler | None, samples: int
) -> Callable[[Any, Path], None]:
    def show(example: BenchmarkImage, _: Path) -> None:
        if example.result is not None:
            evaluation.add(example, [example.result])
        else:
            assert upscaler is not None and example.lq is not None  # there is a scale
            enlarge = functools.partial(upscaler, example.lq)
            evaluation.add(example, [enlarge(sample=i) for i in range(samples)])

    return show


def _rounded(pixels: np.ndarray) -> np.ndarray:
    """An image as it would be if saved with 8 bits, float32 in [0, 1]."""
    return to_float(to_uint8(to_float(pixels)))


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
