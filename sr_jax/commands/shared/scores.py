"""The numbers of the images of a benchmark: measured, shown as rows of a table, and kept."""

import sys
from collections.abc import Sequence

import numpy as np

from sr_jax.commands.shared import benchmark_images, measures
from sr_jax.commands.shared.benchmark_images import BenchmarkImage
from sr_jax.commands.shared.table import Table
from sr_jax.errors import InputError
from sr_jax.images.decoding import ImageError, to_float, to_uint8
from sr_jax.metrics import fid
from sr_jax.metrics.diversity import diversity
from sr_jax.metrics.fid import Fid, ImageSet

DIVERSITY = 'diversity'
BICUBIC = 'bicubic'  # what small images are enlarged by for comparison


class Scores:
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
        try:
            drawn = [_round_to_8_bits(result) for result in results]
            images = {'result': drawn[0]}
            if self._scale and example.lq is not None:
                enlarged = benchmark_images.enlarge_bicubically(example.lq, self._scale)
                images[BICUBIC] = _round_to_8_bits(enlarged)
            hq = _round_to_8_bits(example.hq)
            row = {kind: self._measure(image, hq, example.lq) for kind, image in images.items()}
            others = [self._measure(image, hq, example.lq) for image in drawn[1:]]
        except InputError as error:
            raise ImageError(example.name, str(error)) from error
        if others:
            row['result'] = measures.average([row['result'], *others])
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
            found[kind] = measures.average([row[kind] for row in self.rows.values()])
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


def _round_to_8_bits(pixels: np.ndarray) -> np.ndarray:
    """Returns an image as it would be if saved with 8 bits, float32 in [0, 1]."""
    return to_float(to_uint8(to_float(pixels)))
