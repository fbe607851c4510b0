"""A layer on a large array, patch by patch, so that what it keeps on the way is small."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax
from jaxtyping import Array, Float

from sr_jax.layers.borders import Patch, at_patch


class Grid(NamedTuple):
    """How an array falls into patches; a number for rows and one for columns each.

    Attributes:
      whole: sides of the array.
      counts: of the patches.
      cores: sides of what one patch computes.
      sides: of a patch with its halo.
      halo: pixels around a core, as far as the array reaches.
    """

    whole: tuple[int, ...]
    counts: tuple[int, ...]
    cores: tuple[int, ...]
    sides: tuple[int, ...]
    halo: int

    @classmethod
    def cover(cls, whole: tuple[int, ...], side: int, halo: int) -> 'Grid':
        """Returns the grid whose cores are at most `side` pixels a side."""
        counts = tuple(-(-length // side) for length in whole)
        cores = tuple(-(-length // count) for length, count in zip(whole, counts, strict=True))
        sides = tuple(min(core + 2 * halo, n) for core, n in zip(cores, whole, strict=True))
        return cls(whole, counts, cores, sides, halo)

    def place(self, number: Array) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
        """Returns the first pixel of a patch's core, and of the patch with its halo."""
        places = zip(jnp.unravel_index(number, self.counts), self.cores, self.whole, strict=True)
        # The last ones begin earlier, so that all are of one size, and are computed twice there.
        begins = tuple(jnp.minimum(p * c, n - c) for p, c, n in places)
        spans = zip(begins, self.whole, self.sides, strict=True)
        return begins, tuple(jnp.clip(b - self.halo, 0, n - size) for b, n, size in spans)


def in_patches(
    layer: nn.Module,
    x: Float[Array, 'n h w c'],
    result: jax.ShapeDtypeStruct,
    side: int,
    halo: int,
    apply: Callable[[Any, Array], Array] = lambda layer, x: layer(x),
) -> Float[Array, 'n h2 w2 c2']:
    """Returns `apply(layer, x)`, computed one patch after another.

    Every patch is computed with the pixels around it on which it depends, and these are computed
    again for its neighbours: with a halo of 5 and patches of 256, 8% more arithmetic.
    At the edges of x the layer pads as it would on the whole.

    Args:
      layer: without variables that change, without random numbers.
      x: its input.
      result: shape and type of what the layer makes of x; as high and wide as x, or a whole number
        of times.
      side: most pixels of x along a patch, without the halo. With 0, or where x is not longer: the
        whole at once.
      halo: pixels of x around one on which the layer's result depends.
      apply: calls it.
    """
    if not side or max(x.shape[1:3]) <= side:
        return apply(layer, x)
    grid = Grid.cover(x.shape[1:3], side, halo)
    scale = result.shape[1] // x.shape[1]

    def patch(layer: nn.Module, made: Array, number: Array) -> tuple[Array, None]:
        begins, starts = grid.place(number)
        piece = lax.dynamic_slice(x, (0, *starts, 0), (len(x), *grid.sides, x.shape[3]))
        with at_patch(Patch(starts, grid.sides, grid.whole)):
            y = apply(layer, piece)
        within = [(b - s) * scale for b, s in zip(begins, starts, strict=True)]
        size = (len(x), *(core * scale for core in grid.cores), y.shape[3])
        core = lax.dynamic_slice(y, (0, *within, 0), size)
        there = [begin * scale for begin in begins]
        return lax.dynamic_update_slice(made, core, (0, *there, 0)), None

    loop = nn.scan(patch, variable_broadcast='params', split_rngs={'params': False})
    # All of it is written. What is not made of x, XLA would make for every layer at the start.
    same = result.shape == x.shape and result.dtype == x.dtype
    blank = x if same else jnp.zeros(result.shape, result.dtype)
    return loop(layer, blank, jnp.arange(grid.counts[0] * grid.counts[1]))[0]
