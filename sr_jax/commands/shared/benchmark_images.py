"""One image of a benchmark at a time: the true one, the small one, and what was made of it."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from sr_jax.data.benchmark import Benchmark
from sr_jax.data.sources.folder import ImageFiles
from sr_jax.degradations import bicubic
from sr_jax.images import resize
from sr_jax.images.decoding import ImageError, to_float


class BenchmarkImage(NamedTuple):
    """What belongs together.

    Attributes:
      name: short, for tables.
      hq: the true image, float32 in [0, 1], cut to the size of what is made of the small one.
      lq: the small image, in its own precision; None where there is none.
      result: what was made of it, in its own precision; None where a network has yet to do it.
    """

    name: str
    hq: np.ndarray
    lq: np.ndarray | None
    result: np.ndarray | None


def load(benchmark: Benchmark, scale: int | None, index: int) -> BenchmarkImage:
    """Reads an image of a benchmark.

    The true image is cut at its right and lower edge: to a multiple of the scale, or to `scale`
    times the small one where the benchmark has small images. Where it has none, the small one is
    made of the true one by the bicubic degradation, rounded to 8 bits.

    Args:
      benchmark: the sources.
      scale: how many times the sides of the small images the true ones' are; None: unknown, then
        nothing is cut or made.
      index: of the image.

    Raises:
      ImageError: an image is broken, or the sizes do not go together.
    """
    hq = benchmark.hq[index]
    lq = benchmark.lq.pixels(index) if benchmark.lq else None
    if scale is not None:
        hq = _cut(hq, scale, lq, benchmark, index)
        if lq is None:
            lq = np.asarray(bicubic.degrade(jnp.asarray(hq)[None], scale, rounded=True)[0])
    result = benchmark.results.pixels(index) if benchmark.results else None
    if benchmark.results and result is not None and result.shape != hq.shape:
        cut = '' if scale is None else f', cut for a scale of {scale}'
        raise ImageError(
            benchmark.results.name(index),
            f'{_format_size(result)} pixels, but the true image {benchmark.hq.name(index)} has '
            f'{_format_size(hq)}{cut}: enlarge the small one anew, or say its --scale',
        )
    return BenchmarkImage(benchmark.names[index], hq, lq, result)


def enlarge_bicubically(lq: np.ndarray, scale: int) -> np.ndarray:
    """Returns the image enlarged as MATLAB's bicubic `imresize` does, float32 in [0, 1]."""
    return np.clip(np.asarray(resize.imresize(jnp.asarray(to_float(lq)), scale)), 0, 1)


def read_small_sizes(benchmark: Benchmark, scale: int) -> list[tuple[int, int]]:
    """Returns heights and widths of the small images, as far as the files' headers tell them."""
    source = benchmark.lq or benchmark.hq
    if not isinstance(source, ImageFiles):
        return []
    divisor = 1 if benchmark.lq else scale
    sizes = []
    for index in range(len(source)):
        try:
            height, width = source.size(index)
        except ImageError:
            continue  # it is named when its turn comes
        if min(height, width) >= divisor:
            sizes.append((height // divisor, width // divisor))
    return sizes


def _cut(
    hq: np.ndarray, scale: int, lq: np.ndarray | None, benchmark: Benchmark, index: int
) -> np.ndarray:
    """Returns the true image cut to the scale."""
    name, size = benchmark.hq.name(index), _format_size(hq)
    if lq is None:
        height, width = (side // scale * scale for side in hq.shape[:2])
        if not height or not width:
            raise ImageError(name, f'{size} pixels are too small for a scale of {scale}')
        return hq[:height, :width]
    height, width = (side * scale for side in lq.shape[:2])
    surplus = (hq.shape[0] - height, hq.shape[1] - width)
    if not all(0 <= side < scale for side in surplus):
        lq_name = benchmark.lq.name(index) if benchmark.lq else ''
        given = f'{_format_size(lq)} of its small one, {lq_name}'
        raise ImageError(name, f'{size} pixels are not {scale} times the {given}')
    return hq[:height, :width]


def _format_size(pixels: np.ndarray) -> str:
    return f'{pixels.shape[1]}x{pixels.shape[0]}'
