"""A layer on a large array, patch by patch, so that what it keeps on the way is small."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax
from jaxtyping import Array, Float

from sr_jax.layers.borders import Patch, at_patch


def in_patches(
    layer: nn.Module,
    x: Float[Array, 'n h w c'],
    result: jax.ShapeDtypeStruct,
    side: int,
    halo: int,
) -> Float[Array, 'n h2 w2 c2']:
    """What `layer(x)` is, computed one patch after another.

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
    """
    whole = x.shape[1:3]
    if not side or max(whole) <= side:
        return layer(x)
    scale = result.shape[1] // x.shape[1]
    counts = tuple(-(-length // side) for length in whole)
    cores = tuple(-(-length // count) for length, count in zip(whole, counts, strict=True))
    sides = tuple(min(core + 2 * halo, n) for core, n in zip(cores, whole, strict=True))

    def patch(layer: nn.Module, made: Array, number: Array) -> tuple[Array, None]:
        places = jnp.unravel_index(number, counts)
        # The last ones begin earlier, so that all are of one size, and are computed twice there.
        begins = [jnp.minimum(p * c, n - c) for p, c, n in zip(places, cores, whole, strict=True)]
        starts = [
            jnp.clip(begin - halo, 0, length - size)
            for begin, length, size in zip(begins, whole, sides, strict=True)
        ]
        piece = lax.dynamic_slice(x, (0, *starts, 0), (len(x), *sides, x.shape[3]))
        with at_patch(Patch(tuple(starts), sides, whole)):
            y = layer(piece)
        within = [(b - s) * scale for b, s in zip(begins, starts, strict=True)]
        core = lax.dynamic_slice(
            y, (0, *within, 0), (len(x), *(c * scale for c in cores), y.shape[3])
        )
        there = [begin * scale for begin in begins]
        return lax.dynamic_update_slice(made, core, (0, *there, 0)), None

    loop = nn.scan(patch, variable_broadcast='params', split_rngs={'params': False})
    # All of it is written. What is not made of x, XLA would make for every layer at the start.
    same = result.shape == x.shape and result.dtype == x.dtype
    blank = x if same else jnp.zeros(result.shape, result.dtype)
    return loop(layer, blank, jnp.arange(counts[0] * counts[1]))[0]
