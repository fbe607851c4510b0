"""Images in windows, as transformers for images look at them.

Liu et al. 2021, "Swin Transformer: Hierarchical Vision Transformer using Shifted Windows"
(arXiv:2103.14030), section 3.2.
"""

import itertools
import math
from collections.abc import Iterable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int, Shaped

from sr_jax.errors import InputError

Window = tuple[int, int]  # height, width

# Added to the logits of pairs of pixels that are no neighbors in the image, as in the originals.
SEPARATE = -100.0


def split_windows(
    x: Shaped[Array, 'n h w *c'], window: Window
) -> Shaped[Array, 'n windows pixels *c']:
    """Cuts images into windows, row by row, whose pixels stand in one axis, row by row."""
    n, h, w, *rest = x.shape
    height, width = window
    x = x.reshape(n, h // height, height, w // width, width, *rest)
    return x.swapaxes(2, 3).reshape(n, -1, height * width, *rest)


def join_windows(
    windows: Float[Array, 'n windows pixels c'], size: tuple[int, ...], window: Window
) -> Float[Array, 'n h w c']:
    """Puts windows together to images of a size: the inverse of `split_windows`."""
    (h, w), (height, width) = size, window
    x = windows.reshape(windows.shape[0], h // height, w // width, height, width, -1)
    return x.swapaxes(2, 3).reshape(windows.shape[0], h, w, -1)


def split_grids(
    x: Shaped[Array, 'n h w *c'], grid: Window
) -> Shaped[Array, 'n grids pixels *c']:
    """Cuts images into grids: each has one pixel of each of so many parts of the image.

    Tu et al. 2022, "MaxViT: Multi-Axis Vision Transformer" (arXiv:2204.01697), section 3.2.
    """
    h, w = x.shape[1:3]
    return split_windows(x, (h // grid[0], w // grid[1])).swapaxes(1, 2)


def join_grids(
    grids: Float[Array, 'n grids pixels c'], size: tuple[int, ...], grid: Window
) -> Float[Array, 'n h w c']:
    """Puts grids together to images of a size: the inverse of `split_grids`."""
    part = size[0] // grid[0], size[1] // grid[1]
    return join_windows(grids.swapaxes(1, 2), size, part)


def overlapping_windows(
    x: Float[Array, 'n h w c'], window: Window, overlap: int
) -> Float[Array, 'n windows pixels c']:
    """Windows with so many pixels around each, which overlap; zeros beyond the image's edges."""
    n, h, w, channels = x.shape
    padded = jnp.pad(x, ((0, 0), (overlap, overlap), (overlap, overlap), (0, 0)))
    rows, columns = (
        side * jnp.arange(length // side)[:, None] + jnp.arange(side + 2 * overlap)[None]
        for length, side in zip((h, w), window, strict=True)
    )
    found = padded[:, rows][:, :, :, columns]  # n, down, height, across, width, c
    return found.swapaxes(2, 3).reshape(n, -1, rows.shape[1] * columns.shape[1], channels)


def relative_positions(window: Window) -> Int[np.ndarray, 'pixels pixels']:
    """The row of a table of biases that each pair of a window's pixels takes.

    A table holds the relative places of two pixels row by row: (2 height - 1) (2 width - 1).
    """
    height, width = window
    rows, columns = np.divmod(np.arange(height * width), width)
    down = rows[:, None] - rows[None, :] + height - 1
    across = columns[:, None] - columns[None, :] + width - 1
    return down * (2 * width - 1) + across


def overlapping_positions(window: int, overlap: int) -> Int[np.ndarray, 'pixels more']:
    """The rows of a table for the pixels of a window and those of the larger one around it.

    As HAT's program counts them: some are below 0, and mean rows from the table's end.
    """
    larger = window + 2 * overlap
    places, around = (np.divmod(np.arange(side**2), side) for side in (window, larger))
    down, across = (
        theirs[None, :] - own[:, None] + window - larger + 1
        for own, theirs in zip(places, around, strict=True)
    )
    return down * (window + larger - 1) + across


def relative_offsets(window: Window) -> Float[np.ndarray, 'rows 2']:
    """The relative places of two pixels, down and across, in the order of the rows of a table."""
    height, width = window
    offsets = np.mgrid[1 - height : height, 1 - width : width]
    return np.ascontiguousarray(offsets.reshape(2, -1).T, np.float32)


def permuted_positions(window: int) -> Int[np.ndarray, 'pixels keys']:
    """The rows of a table for the pixels of a window and keys of 2 x 2 of them: by these alone."""
    half = window // 2
    rows, columns = np.divmod(np.arange(window**2), window)
    return relative_positions((half, half))[rows // 2 * half + columns // 2]


def name_regions(
    size: tuple[int, ...], window: Window, shift: Window
) -> Int[Array, 'windows pixels']:
    """A number for each pixel of windows; equal in a window where they lie together in the image.

    Images that were turned around by the shift, upwards and to the left, have windows at the far
    edges that hold pixels of both edges.
    """

    def regions(axis: int) -> Array:
        places, length = jnp.arange(size[axis]), size[axis]
        late = places >= length - window[axis]
        return late.astype(jnp.int32) + (places >= length - shift[axis])

    names = 3 * regions(0)[:, None] + regions(1)[None, :]
    return split_windows(names[None], window)[0]


def permuted_regions(
    size: tuple[int, ...], window: int, shift: int
) -> tuple[Int[Array, 'windows pixels'], Int[Array, 'windows keys']]:
    """As `name_regions`, of pixels and of keys of 2 x 2 of them."""
    names = name_regions(size, (window, window), (shift, shift))
    halves = size[0] // 2, size[1] // 2
    return names, name_regions(halves, (window // 2, window // 2), (-(-shift // 2),) * 2)


def separate(
    queries: Int[Array, '*windows queries'], keys: Int[Array, '*windows keys']
) -> Float[Array, '*windows queries keys']:
    """0 for pairs of one region, `SEPARATE` for others: a mask of attention."""
    return jnp.where(queries[..., :, None] == keys[..., None, :], 0.0, SEPARATE)


def pad_to_multiple(
    x: Float[Array, 'n h w c'], multiple: int, mode: str = 'reflect', least: int = 1
) -> Float[Array, 'n h2 w2 c']:
    """Adds rows below and columns on the right until the sides are multiples.

    Args:
      x: images.
      multiple: of the sides.
      mode: as in `lengthen`.
      least: length of a side.
    """
    for axis in (1, 2):
        side = x.shape[axis]
        whole = (jax.core.max_dim(side, least) + multiple - 1) // multiple * multiple
        x = lengthen(x, axis, whole, mode)
    return x


def crop(x: Float[Array, 'n h w c'], height: int, width: int) -> Float[Array, 'n height width c']:
    """The upper left part of images; its sides may be known only when the program runs."""
    if x.shape[1:3] == (height, width):
        return x
    return lax.slice(x, (0, 0, 0, 0), (x.shape[0], height, width, x.shape[3]))


def lengthen(x: Array, axis: int, length: int, mode: str) -> Array:
    """Continues an axis to a length, which may be known only when the program runs.

    Args:
      x: any array.
      axis: of it.
      length: of the axis that is returned.
      mode: 'reflect', the last one not repeated, 'symmetric', repeated, or 'constant', zeros.
    """
    side = x.shape[axis]
    if length == side:
        return x
    if isinstance(side, int) and isinstance(length, int):
        widths = [(0, length - side if i == axis else 0) for i in range(x.ndim)]
        return jnp.pad(x, widths, mode=mode)
    once = int(mode != 'symmetric')
    period = jax.core.max_dim(2 * (side - once), 1)
    places = jnp.arange(length)
    places -= lax.div(places, jnp.full_like(places, period)) * period
    mirrored = jnp.where(places < side, places, period - 1 + once - places)
    made = jnp.take(x, mirrored, axis=axis, mode='clip')
    if mode != 'constant':
        return made
    inside = jnp.arange(length) < side
    shape = [-1 if i == axis else 1 for i in range(x.ndim)]
    return made * inside.astype(x.dtype).reshape(shape)


class Look(NamedTuple):
    """What a layer looks at for one pixel: its window, and so many pixels around what that is.

    Attributes:
      radius: pixels around.
      window: side of the window; 1: the pixel alone.
      offset: pixels that the windows begin before the image's edge.
    """

    radius: int = 0
    window: int = 1
    offset: int = 0


def find_reach(looks: Iterable[Look]) -> int:
    """Pixels around one on which the last of these layers depends, wherever the pixel lies.

    Args:
      looks: of the layers, the first one first.
    """
    looks = list(looks)
    period = math.lcm(*(look.window for look in looks))
    farthest = 0
    for place in range(period):
        first = last = place
        for radius, window, offset in reversed(looks):
            first = (first + offset) // window * window - offset - radius
            last = (last + offset) // window * window + window - 1 - offset + radius
        farthest = max(farthest, place - first, last - place)
    return farthest


def check_heads(channels: int, heads: int) -> None:
    """Raises InputError unless the channels divide over the heads of an attention."""
    if heads < 1 or channels % heads:
        raise InputError(f'{channels} channels do not split into {heads} attention heads')


def repeat_looks(looks: Iterable[Look], times: int) -> list[Look]:
    """The looks of layers that are repeated."""
    return list(itertools.chain.from_iterable([list(looks)] * times))
