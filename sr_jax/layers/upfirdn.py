"""Up-sampling, filtering and down-sampling of images in one step, as StyleGAN2 blurs its features.

NVlabs call it `upfirdn2d`; the function here is BasicSR's and rosinality's of that name, of images
NHWC. It is linear, and the transpose of one is another with up and down exchanged: so gradients of
any order are what the forward pass is.

Each output is a sum of the few products that are not with a zero put in between, written out as
shifted slices, of which XLA makes one loop: see BENCHMARKS.md.
"""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

FILTER = (1, 3, 3, 1)  # of all published StyleGAN2


class Plan(NamedTuple):
    """Of `upfirdn`, what does not depend on the image. Pads are (before, after), in both axes."""

    kernel: tuple[tuple[float, ...], ...]
    up: int
    down: int
    rows: tuple[int, int]
    columns: tuple[int, int]

    def transposed(self, height: int, width: int) -> 'Plan':
        """The plan that takes gradients back to images of height x width."""
        taps = len(self.kernel), len(self.kernel[0])
        pads = []
        for size, length, (before, after) in zip(
            (height, width), taps, (self.rows, self.columns), strict=True
        ):
            made = count_outputs(size, length, self, (before, after))
            first = length - before - 1
            last = size * self.up - made * self.down + before - self.up + 1
            pads.append((first, last))
        turned = tuple(row[::-1] for row in self.kernel[::-1])
        return Plan(turned, self.down, self.up, *pads)


def count_outputs(size: int, taps: int, plan: Plan, pads: tuple[int, int]) -> int:
    """Returns how many pixels a side of `size` pixels has afterwards."""
    return (size * plan.up + sum(pads) - taps) // plan.down + 1


def upfirdn(
    x: Float[Array, 'n h w c'],
    kernel: Any,
    up: int = 1,
    down: int = 1,
    pad: Sequence[int] = (0, 0),
) -> Float[Array, 'n h2 w2 c']:
    """Puts up - 1 zeros after every pixel, pads, convolves, and takes every down-th pixel.

    Args:
      x: the images.
      kernel: [k, l], numbers that are known when this is traced; convolved, not correlated.
      up: so many times the pixels, along each side.
      down: one of so many is kept.
      pad: zeros before and after, along each side; negative ones crop.
    """
    rows = tuple(tuple(map(float, row)) for row in np.asarray(kernel))
    before, after = pad
    return _upfirdn(x, Plan(rows, up, down, (before, after), (before, after)))


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def _upfirdn(x: Array, plan: Plan) -> Array:
    # Along each axis: of every output phase, its taps; a phase is one of the `up` positions.
    heights, widths = (
        _phases(size, len(taps), plan, pads)
        for size, taps, pads in (
            (x.shape[1], plan.kernel, plan.rows),
            (x.shape[2], plan.kernel[0], plan.columns),
        )
    )
    low_rows, low_columns = heights.margin, widths.margin
    margins = ((0, 0), low_rows, low_columns, (0, 0))
    x = jnp.pad(x, margins)
    kernel = np.asarray(plan.kernel, np.float32)[::-1, ::-1]
    phases = [
        [_sum_taps(x, kernel, rows, columns, (heights, widths)) for columns in widths.taps]
        for rows in heights.taps
    ]
    if len(phases) == len(phases[0]) == 1:
        return phases[0][0]
    y = jnp.stack([jnp.stack(row, axis=3) for row in phases], axis=2)  # n h ph w pw c
    n, h, ph, w, pw, c = y.shape
    return y.reshape(n, h * ph, w * pw, c)[:, : heights.made, : widths.made]


def _forward(x: Array, plan: Plan) -> tuple[Array, tuple[int, ...]]:
    return _upfirdn(x, plan), x.shape[1:3]


def _backward(plan: Plan, sides: tuple[int, int], cotangent: Array) -> tuple[Array]:
    return (_upfirdn(cotangent, plan.transposed(*sides)),)


_upfirdn.defvjp(_forward, _backward)


class Axis(NamedTuple):
    """How the outputs along an axis come from the inputs along it.

    Attributes:
      made: outputs.
      each: outputs of a phase.
      step: inputs between two outputs of a phase.
      taps: of each phase, pairs of a tap and the padded input that its first output takes it from.
      margin: zeros to be put before and after.
    """

    made: int
    each: int
    step: int
    taps: list[list[tuple[int, int]]]
    margin: tuple[int, int]


def _phases(size: int, length: int, plan: Plan, pads: tuple[int, int]) -> Axis:
    """Returns how an axis of `size` inputs is filtered by `length` taps.

    Outputs p, p + up, p + 2 up, ... take the same taps, of inputs that are `down` apart.
    """
    up, down = plan.up, plan.down
    made = count_outputs(size, length, plan, pads)
    each = -(-made // up)
    taps = [
        [
            (tap, (phase * down + tap - pads[0]) // up)
            for tap in range(length)
            if (phase * down + tap - pads[0]) % up == 0
        ]
        for phase in range(up)
    ]
    starts = [start for phase in taps for _, start in phase]
    before = max(0, -min(starts))
    after = max(0, max(starts) + (each - 1) * down + 1 - size)
    shifted = [[(tap, start + before) for tap, start in phase] for phase in taps]
    return Axis(made, each, down, shifted, (before, after))


def _sum_taps(
    x: Array,
    kernel: np.ndarray,
    rows: list[tuple[int, int]],
    columns: list[tuple[int, int]],
    axes: tuple[Axis, Axis],
) -> Array:
    """Returns one phase of the outputs: the sum over its taps."""
    (high, wide), total = axes, None
    for i, top in rows:
        for j, left in columns:
            if kernel[i, j] == 0:
                continue
            bottom, right = top + (high.each - 1) * high.step, left + (wide.each - 1) * wide.step
            part = x[:, top : bottom + 1 : high.step, left : right + 1 : wide.step]
            part = part * np.asarray(kernel[i, j], x.dtype)
            total = part if total is None else total + part
    if total is None:
        return jnp.zeros((len(x), high.each, wide.each, x.shape[-1]), x.dtype)
    return total


def fir_kernel(taps: Sequence[float] = FILTER, gain: float = 1.0) -> np.ndarray:
    """Returns the separable kernel of these taps, whose sum is `gain`."""
    outer = np.outer(taps, taps)
    return outer / outer.sum() * gain


def upsample(x: Float[Array, 'n h w c']) -> Float[Array, 'n 2*h 2*w c']:
    """Doubles height and width through the filter."""
    return upfirdn(x, fir_kernel(gain=4), up=2, pad=(2, 1))


def downsample(x: Float[Array, 'n h w c']) -> Float[Array, 'n h/2 w/2 c']:
    """Halves height and width through the filter."""
    return upfirdn(x, fir_kernel(), down=2, pad=(1, 1))


def smooth(
    x: Float[Array, 'n h w c'], pad: tuple[int, int], gain: float = 1.0
) -> Float[Array, 'n h2 w2 c']:
    """Filters at the same resolution; with `pad` zeros before and after."""
    return upfirdn(x, fir_kernel(gain=gain), pad=pad)
