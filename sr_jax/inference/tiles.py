"""Large images in parts: windows that overlap by a halo, and the cores that they are there for.

A window is what a device sees; all windows have one size, so that one compiled function serves them
all. Its core is what is kept of its result: every pixel of the core lies at least a halo away from
those sides of the window that are not sides of the image. With a halo as wide as the network
looks, the cores together are the whole image's result.
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, Num

from sr_jax.images.decoding import from_float, to_float
from sr_jax.images.finite import check_finite

# Of sizes of windows that are tried.
MAX_SPLITS = 64
MAX_LENGTHS = 128


class Span(NamedTuple):
    """A window along one side of an image, in its pixels, and its core within the image.

    Attributes:
      start: of the window; windows of a side longer than they are lie within it.
      core: first pixel of the core.
      end: first pixel after it.
    """

    start: int
    core: int
    end: int


class Tile(NamedTuple):
    """A window of an image and its core, down and across."""

    rows: Span
    columns: Span


def spans(side: int, window: int, halo: int, multiple: int = 1) -> list[Span]:
    """The windows along a side, as few as there can be.

    Args:
      side: pixels of the image, a multiple of `multiple`.
      window: pixels of a window, a multiple of `multiple`. One as long as the side or longer starts
        with it and is alone.
      halo: pixels that a core keeps away from where its window ends within the image.
      multiple: of which windows start at one, and cores too.

    Raises:
      ValueError: nothing of a window would be left as its core.
    """
    if window >= side:
        return [Span(0, 0, side)]
    halo = -(-halo // multiple) * multiple
    step = window - 2 * halo
    if step < multiple:
        raise ValueError(f'a window of {window} pixels has no core within a halo of {halo}')
    count = -(-(side - window) // step) + 1
    free = (side - window) // multiple
    starts = [free * i // (count - 1) * multiple for i in range(count)]
    cuts = [
        (after + before + window) // 2 // multiple * multiple
        for before, after in itertools.pairwise(starts)
    ]
    bounds = [0, *cuts, side]
    return [Span(start, *bounds[i : i + 2]) for i, start in enumerate(starts)]


def tiles(
    size: tuple[int, int], window: tuple[int, int], halo: int, multiple: int = 1
) -> Iterator[Tile]:
    """The windows of an image (height, width), row by row; see `spans`."""
    for rows in spans(size[0], window[0], halo, multiple):
        for columns in spans(size[1], window[1], halo, multiple):
            yield Tile(rows, columns)


def best_window(
    sizes: Sequence[tuple[int, int]],
    max_pixels: int,
    halo: int,
    multiple: int = 1,
    at_once: int = 1,
    max_side: int = 0,
) -> tuple[int, int]:
    """The size of window (height, width) with which images take the fewest pixels of work.

    Args:
      sizes: of the images, each side a multiple of `multiple`.
      max_pixels: that a window may have.
      halo: see `spans`.
      multiple: see `spans`.
      at_once: windows computed at a time, so that a rest of an image's windows counts as many.
      max_side: that a window may have; 0: any.

    Raises:
      ValueError: no window that is allowed has a core.
    """
    sides = [sorted({size[axis] for size in sizes}) for axis in (0, 1)]
    least = [min(_least_length(halo, multiple), own[-1]) for own in sides]
    heights, widths = (
        _lengths(own, halo, multiple, min(max_side or max_pixels, max_pixels // other))
        for own, other in zip(sides, reversed(least), strict=True)
    )
    down, across = (
        _counts(lengths, [size[axis] for size in sizes], halo, multiple)
        for axis, lengths in enumerate((heights, widths))
    )
    rounds = np.stack([np.sum(-(-row * across // at_once), axis=1) for row in down])
    pixels = heights[:, None] * widths[None, :]
    allowed = pixels <= max_pixels
    if max_side:
        allowed &= np.maximum(heights[:, None], widths[None, :]) <= max_side
    work = np.where(allowed, rounds * pixels, np.inf)
    if not np.isfinite(work).any():
        raise ValueError(f'no window of {max_pixels} pixels has a core within a halo of {halo}')
    row, column = np.unravel_index(np.argmin(work), work.shape)
    return int(heights[row]), int(widths[column])


def _least_length(halo: int, multiple: int) -> int:
    return 2 * -(-halo // multiple) * multiple + multiple


def _lengths(
    sides: Sequence[int], halo: int, multiple: int, most: int
) -> Int[np.ndarray, 'lengths']:
    """Lengths of windows, ascending: those that split a side evenly, and the shortest of all.

    Of splits those into the fewest windows of at most `most` pixels, one more, two more and so on,
    and then ever further apart.
    """
    least, longest = _least_length(halo, multiple), max(sides)
    overlap = least - multiple
    core = max(most // multiple * multiple - overlap, multiple)  # of the longest window
    found = [np.array([least, *sides])]
    for side in sides:
        fewest = -(-(side - overlap) // core)
        if fewest > 0:
            further = np.geomspace(fewest, max(side // multiple, fewest), MAX_SPLITS)
            parts = np.concatenate([fewest + np.arange(MAX_SPLITS), further.astype(int)])
            shares = -(-(side - overlap) // parts) + overlap
            found.append(-(-shares // multiple) * multiple)
    lengths = np.unique(np.clip(np.concatenate(found), min(least, longest), longest))
    lengths = lengths[(lengths <= most) | (lengths == lengths[0])]
    if len(lengths) > MAX_LENGTHS:
        lengths = lengths[np.linspace(0, len(lengths) - 1, MAX_LENGTHS).astype(int)]
    return lengths


def _counts(
    lengths: Int[np.ndarray, 'lengths'], sides: Sequence[int], halo: int, multiple: int
) -> Int[np.ndarray, 'lengths images']:
    """How many windows of each length each side takes, as `spans` has them."""
    halo = -(-halo // multiple) * multiple
    steps = np.maximum(lengths - 2 * halo, 1)[:, None]
    return np.maximum(-(-(np.asarray(sides) - lengths[:, None]) // steps), 0) + 1


def cut(
    pixels: Num[np.ndarray, 'h w 3'],
    part: Tile,
    window: tuple[int, int],
    mirrored: bool = False,
) -> Float[np.ndarray, 'h2 w2 3']:
    """A window of an image in [0, 1], continued where it reaches beyond the image.

    Args:
      pixels: the image.
      part: where the window begins.
      window: its height and width.
      mirrored: beyond the edge the image is mirrored, not the edge repeated.
    """
    spans = (part.rows, part.columns)
    rows, columns = (
        _continue(np.arange(length) + span.start, side, mirrored)
        for span, length, side in zip(spans, window, pixels.shape[:2], strict=True)
    )
    return to_float(pixels[rows[:, None], columns[None, :]])


def _continue(places: Int[np.ndarray, 'n'], side: int, mirrored: bool) -> Int[np.ndarray, 'n']:
    """Where in an image that is so long the pixels of these places come from."""
    if not mirrored:
        return np.minimum(places, side - 1)
    turned = places % max(2 * side - 2, 1)
    return np.minimum(turned, max(2 * side - 2, 1) - turned)


def place(
    result: Num[np.ndarray, 'h w 3'],
    part: Tile,
    enlarged: Float[np.ndarray, 'h2 w2 3'],
    scale: int,
    source: str,
) -> None:
    """Writes the core of an enlarged window where it belongs, in the precision of the result.

    Args:
      result: the enlarged image.
      part: the window and its core.
      enlarged: the window.
      scale: output pixels per pixel along a side.
      source: what messages call the network.

    Raises:
      InputError: the core is not finite.
    """
    here, there = [], []
    for span, side in zip((part.rows, part.columns), result.shape[:2], strict=True):
        end = min(span.end * scale, side)
        there.append(slice(span.core * scale, end))
        here.append(slice((span.core - span.start) * scale, end - span.start * scale))
    core = enlarged[tuple(here)]
    check_finite(core, f'what {source} makes of the image')
    result[tuple(there)] = from_float(core, result.dtype)
