"""`evaluate` over whole pictures: a network's, or those in a folder, against the true ones.

The pictures go through one by one. One that fails is named, and the others are done.
"""

import argparse
import functools
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sr_jax import image_io, networks
from sr_jax.commands import benchmark_pictures, measures, measures_table, upscaler_arguments
from sr_jax.commands.benchmark_pictures import Picture
from sr_jax.commands.pictures import each_picture
from sr_jax.data.benchmark import Benchmark, open_benchmark
from sr_jax.data.pairs import scale_of
from sr_jax.errors import InputError
from sr_jax.image_io import PictureError
from sr_jax.metrics import fid
from sr_jax.metrics.diversity import diversity
from sr_jax.metrics.fid import Fid, PictureSet
from sr_jax.upscaling import Upscaler

DIVERSITY = 'diversity'
BICUBIC = 'bicubic'  # what small pictures are enlarged by for comparison


class Evaluation:
    """Measures pictures, prints a row for each, and keeps the numbers.

    Args:
      measure: of one picture.
      table: that the rows go to.
      scale: of the enlargement; None: there is no bicubic one to compare with.
      distance: FID of all the pictures, where it is asked for.
    """

    def __init__(
        self,
        measure: measures.Measures,
        table: measures_table.Table,
        scale: int | None,
        distance: Fid | None,
    ):
        self.rows: dict[str, dict[str, dict[str, float]]] = {}  # by picture, by who enlarged it
        self._measure = measure
        self._table = table
        self._scale = scale
        self._distance = distance
        kinds = ('hq', 'result', BICUBIC) if scale else ('hq', 'result')
        self._sets = {kind: PictureSet(distance) for kind in kinds} if distance else {}

    def add(self, picture: Picture, results: Sequence[np.ndarray]) -> None:
        """Measures what was made of a picture, as if saved with 8 bits.

        Of several results the numbers' means are kept, and their `diversity`; FID sees the first.

        Raises InputError, naming the picture, where a measure cannot be taken of it.
        """
        drawn = [_rounded(result) for result in results]
        images = {'result': drawn[0]}
        if self._scale and picture.lq is not None:
            enlarged = benchmark_pictures.enlarged_bicubically(picture.lq, self._scale)
            images[BICUBIC] = _rounded(enlarged)
        hq = _rounded(picture.hq)
        try:
            row = {kind: self._measure(image, hq, picture.lq) for kind, image in images.items()}
            others = [self._measure(image, hq, picture.lq) for image in drawn[1:]]
        except InputError as error:
            raise PictureError(picture.name, str(error)) from error
        if others:
            row['result'] = measures.means([row['result'], *others])
            row['result'][DIVERSITY] = diversity(drawn)
        self.rows[picture.name] = row
        self._table.row(picture.name, row['result'])
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
            print('note: no FID, for fewer than two pictures could be measured', file=sys.stderr)
        elif self._distance is not None:
            true = self._sets['hq'].statistics()
            for kind, numbers in found.items():
                distance = fid.frechet_distance(self._sets[kind].statistics(), true)
                numbers[self._distance.name] = distance
                print(f'{self._distance.name}, {kind}: {distance:.3f}')
            if warning := fid.few_pictures(true.number, true.mean.size):
                print(f'note: {warning}', file=sys.stderr)
        return found


def run(arguments: argparse.Namespace) -> int:
    """Prints a row of numbers for each picture, and their means.

    Returns:
      0, or 1 when a picture could not be measured.

    Raises:
      InputError: no such network, pictures, protocol or weights, or what does not go together.
    """
    measures_table.check_place(arguments.json)
    upscaler_arguments.check(arguments)
    benchmark = open_benchmark(arguments.benchmark, arguments.results)
    if arguments.fid and len(benchmark.names) < 2:
        raise InputError(f'--fid needs at least two pictures, and {arguments.benchmark} has one')
    upscaler, scale = _upscaler(arguments, benchmark)
    protocols = measures.protocols(arguments.protocol, scale)
    perceptual = measures.perceptual(arguments.lpips or ())
    measure = measures.Measures(protocols, perceptual, scale)
    distance = measures.load_fid(arguments.fid, arguments.fid_resize) if arguments.fid else None
    small = arguments.benchmark if benchmark.lq else 'bicubic' if scale else None
    print(
        f'{arguments.checkpoint or arguments.results}: {len(benchmark.names)} picture(s) of '
        f'{arguments.benchmark}, '
        + (f'scale {scale}, small pictures: {small}' if scale else 'scale not said')
    )
    if upscaler and (sizes := benchmark_pictures.small_sizes(benchmark, upscaler.scale)):
        upscaler.prepare(sizes)
    columns = [*measure.names, *([DIVERSITY] if arguments.samples > 1 else [])]
    table = measures_table.Table([*benchmark.names, f'{BICUBIC}, mean'], columns)
    evaluation = Evaluation(measure, table, scale, distance)
    table.heading()
    status = each_picture(*_jobs(benchmark, scale), _show(evaluation, upscaler, arguments.samples))
    found = evaluation.finish()
    if arguments.json:
        record = {
            **{'network': arguments.checkpoint, 'results': _text(arguments.results)},
            **{'benchmark': arguments.benchmark, 'scale': scale, 'small_pictures': small},
            'mean': found,
            'pictures': evaluation.rows,
            'failed': [name for name in benchmark.names if name not in evaluation.rows],
        }
        measures_table.write_json(arguments.json, record)
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
) -> tuple[list[tuple[str, Callable[[], Picture]]], list[Path]]:
    """What `each_picture` takes: names and what loads them; and paths, here only of the names."""
    loads: list[tuple[str, Callable[[], Picture]]] = [
        (name, functools.partial(benchmark_pictures.load, benchmark, scale, i))
        for i, name in enumerate(benchmark.names)
    ]
    return loads, [Path(name) for name in benchmark.names]


def _show(
    evaluation: Evaluation, upscaler: Upscaler | None, samples: int
) -> Callable[[Any, Path], None]:
    def show(picture: Picture, _: Path) -> None:
        if picture.result is not None:
            evaluation.add(picture, [picture.result])
        else:
            assert upscaler is not None and picture.lq is not None  # there is a scale
            enlarge = functools.partial(upscaler, picture.lq)
            evaluation.add(picture, [enlarge(sample=i) for i in range(samples)])

    return show


def _rounded(pixels: np.ndarray) -> np.ndarray:
    """A picture as it would be if saved with 8 bits, float32 in [0, 1]."""
    return image_io.to_float(image_io.to_uint8(image_io.to_float(pixels)))


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
