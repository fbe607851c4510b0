"""Patches of images for `blocks.py`: cut out, and added up where they came from.

In a way that XLA's CPU compiler makes good code of. It unrolls a loop over few numbers, such as the
channels of a pixel, into as many scalar copies, at a third of the speed of vectors; so images are
flat, and a line of a patch, k pixels side by side, is copied as one run of k c numbers. It fuses a
gather with the change of shape after it, and then computes an index for every number: see `fence`.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int32

from ...mesh_axes import varying_zeros


def cut_patches(
    flat: Float[Array, 'p'], starts: Int32[Array, 't m'], size: int, line: int, channels: int
) -> Float[Array, 't m k kc']:
    """The patches of `size` lines that start at these places of flat images, whose lines are
    `line` numbers apart; those that would reach past the end come from the last place."""
    length = size * channels
    starts = jnp.minimum(starts, flat.shape[0] - (size - 1) * line - length)
    dimensions = lax.GatherDimensionNumbers((3,), (), (0,))
    lines = _lines(starts, size, line)
    mode = lax.GatherScatterMode.PROMISE_IN_BOUNDS
    return lax.gather(flat, lines, dimensions, (length,), mode=mode)


def add_patches(
    flat: Float[Array, 'p'],
    starts: Int32[Array, 't m'],
    patches: Float[Array, 't m k k c'],
    line: int,
) -> Float[Array, 'p']:
    """Adds patches to flat images where `cut_patches` cuts them out, with the same bits every
    time; those that start past the end are left out."""

    def at_once(flat, starts, patches):
        return add_lines(flat, starts, patches, line)

    def one_after_the_other(flat, starts, patches):
        return add_taps(flat, starts, patches, line)

    # XLA adds in order on CPUs. Elsewhere the order, and thereby the last bits, are open where
    # patches overlap; but the same tap of two patches never meets.
    return lax.platform_dependent(flat, starts, patches, cpu=at_once, default=one_after_the_other)


def add_lines(
    flat: Float[Array, 'p'],
    starts: Int32[Array, 't m'],
    patches: Float[Array, 't m k k c'],
    line: int,
) -> Float[Array, 'p']:
    """`add_patches`, a line of a patch at a time."""
    dimensions = lax.ScatterDimensionNumbers((3,), (), (0,))
    size = patches.shape[2]
    lines = _lines(starts, size, line)
    patches = patches.reshape(*patches.shape[:3], -1)
    return lax.scatter_add(flat, lines, patches, dimensions, mode='drop')


def add_taps(
    flat: Float[Array, 'p'],
    starts: Int32[Array, 't m'],
    patches: Float[Array, 't m k k c'],
    line: int,
) -> Float[Array, 'p']:
    """`add_patches`, a tap of all patches at a time."""
    size, channels = patches.shape[3:]
    dimensions = lax.ScatterDimensionNumbers((2,), (), (0,))
    for row, column in np.ndindex(size, size):
        taps = starts[..., None] + (row * line + column * channels)
        flat = lax.scatter_add(flat, taps, patches[:, :, row, column], dimensions, mode='drop')
    return flat


def fence(needed: Bool[Array, ''], function: Callable[..., Any], *arrays: Array) -> Any:
    """function(*arrays), or zeros where it is not needed: a program for CPUs leaves it out then.

    Nor does such a program fuse it with what comes after, as XLA fuses nothing across a branch. (An
    optimisation barrier does so too, but from JAX 0.12 on only.)
    """

    def zeros(*arrays):
        def of_shape(made):
            return varying_zeros(made.shape, arrays[0]).astype(made.dtype)

        return jax.tree.map(of_shape, jax.eval_shape(function, *arrays))

    def on_cpu(*arrays):
        return lax.cond(needed, function, zeros, *arrays)

    return lax.platform_dependent(*arrays, cpu=on_cpu, default=function)


def _lines(starts, size, line):
    """Where the lines [t, m, k, 1] of patches start."""
    offsets = np.arange(size, dtype=np.int32) * np.int32(line)
    return starts[:, :, None, None] + offsets[None, None, :, None]
