"""One convolution over several maps, of which some may be smaller than its output."""

import functools
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jax import lax
from jaxtyping import Array, Float

from sr_jax.errors import InputError
from sr_jax.layers.borders import zero_outside
from sr_jax.layers.convolution import convolve
from sr_jax.layers.parameter import parameter

TAPS = 3


def convolve_enlarged(
    x: Float[Array, 'n h w c'], kernel: Float[Array, '3 3 c o'], factor: int
) -> Float[Array, 'n h*factor w*factor o']:
    """Returns `convolve(upsample_nearest(x, factor), kernel)`, from x as it is.

    Under the three taps of a side lie at most two different pixels of x, so along a side there are
    three kinds of output pixels: the first of a pixel of x, the last, and those between, which are
    alike. With taps a, b, c and s = a + b + c, the first is a x[i-1] + (b + c) x[i], those between
    s x[i], the last (a + b) x[i] + c x[i+1].

    Elsewhere than on CPUs one 2 x 2 convolution has them all: 16 multiplications per pixel of x and
    pair of channels instead of 36 for a factor of 2, and 36 instead of 144 for a factor of 4. On
    CPUs it is 9 for every factor, for more memory to read and write: the first is also s x[i] +
    a (x[i-1] - x[i]) and the last s x[i] - c (x[i] - x[i+1]), so that along a side three products
    of one pixel each do.

    Args:
      x: features.
      kernel: of 3 x 3 taps.
      factor: at least 2.
    """
    return lax.platform_dependent(
        x,
        kernel,
        cpu=functools.partial(_by_differences, factor),
        default=functools.partial(_by_kinds, factor),
    )


def _by_kinds(factor: int, x: Array, kernel: Array) -> Array:
    """Does `convolve_enlarged` by a convolution that has all kinds of output pixels as channels."""
    rows = _kinds(kernel, 0, factor)
    kinds = [both for row in rows for both in _kinds(row, 1, factor)]
    n, h, w, _ = x.shape
    y = convolve(jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))), jnp.concatenate(kinds, axis=-1))
    y = y.reshape(n, h + 1, w + 1, len(rows), len(rows), kernel.shape[-1])
    # Only the last kind sees a pixel of x and the one after it, so it begins one further on.
    last = len(rows) - 1
    positions = [0, *[1] * (factor - 2), last]

    def pixels(row: int, column: int) -> Array:
        top, left = int(row == last), int(column == last)
        return y[:, top : top + h, left : left + w, row, column]

    return _lay_out([[pixels(row, column) for column in positions] for row in positions])


def _kinds(kernel: Array, axis: int, factor: int) -> list[Array]:
    """Returns what three taps are, as two, to the first, a middle and the last pixel of an axis."""
    before, here, after = jnp.moveaxis(kernel, axis, 0)
    pairs = [(before, here + after), (before + here, after)]
    if factor > 2:
        pairs.insert(1, (jnp.zeros_like(here), before + here + after))
    return [jnp.stack(pair, axis=axis) for pair in pairs]


def _by_differences(factor: int, x: Array, kernel: Array) -> Array:
    """Does `convolve_enlarged` by products of single pixels, and of differences of neighbours."""
    _, h, w, _ = x.shape
    taps = [_sum_taps(row, 0) for row in _sum_taps(kernel, 0)]
    down, right = _differences(x, 1), _differences(x, 2)
    maps = {(0, 0): x, (1, 0): down, (0, 1): right, (1, 1): _differences(down, 2)}
    parts = {}
    for (vertical, horizontal), of in maps.items():
        rows, columns = ((1, 2) if both else (0,) for both in (vertical, horizontal))
        where = [(row, column) for row in rows for column in columns]
        products = _products(of, [taps[row][column] for row, column in where])
        for (row, column), y in zip(where, products, strict=True):
            # A pixel's own difference is that to the one before it: for the last, the next one's.
            top, left = int(row == 2), int(column == 2)
            parts[row, column] = y[:, top : top + h, left : left + w]
    positions = [1, *[0] * (factor - 2), 2]

    def pixels(row: int, column: int) -> Array:
        terms = dict.fromkeys([(0, 0), (row, 0), (0, column), (row, column)])
        return functools.reduce(jnp.add, (parts[term] for term in terms))

    return _lay_out([[pixels(row, column) for column in positions] for row in positions])


def _sum_taps(taps: Array, axis: int) -> tuple[Array, Array, Array]:
    """Returns what, of three taps, multiplies a pixel, its difference and the next one's."""
    before, here, after = jnp.moveaxis(taps, axis, 0)
    return before + here + after, before, -after


def _differences(x: Array, axis: int) -> Array:
    """Returns x[i - 1] - x[i] along an axis, with zeros around x: one more than x has."""
    zeros = jnp.zeros_like(lax.slice_in_dim(x, 0, 1, axis=axis))
    return jnp.concatenate([zeros, x], axis) - jnp.concatenate([x, zeros], axis)


def _products(x: Array, kernels: list[Array]) -> list[Array]:
    """Returns every pixel's channels times each kernel, [c, o]."""
    # Of two dimensions: XLA for CPUs is then quicker by a fifth with the gradients.
    y = x.reshape(-1, x.shape[-1]) @ jnp.concatenate(kernels, axis=-1)
    return jnp.split(y.reshape(*x.shape[:-1], y.shape[-1]), len(kernels), axis=-1)


def _lay_out(pixels: list[list[Array]]) -> Array:
    """Joins the output pixels [n, h, w, o] in each row and column under a pixel of x."""
    n, h, w, features = pixels[0][0].shape
    rows = jnp.stack([jnp.stack(row, axis=3) for row in pixels], axis=2)
    return rows.reshape(n, h * len(pixels), w * len(pixels), features)


class JointConvolution(nn.Module):
    """A 3 x 3 convolution of maps side by side in their channels, without a bias.

    The first map has the size of the output; others may be smaller by a whole factor, the same for
    both sides, and count as enlarged by repeating their pixels, at the cost of `convolve_enlarged`.

    Attributes:
      features: channels of the output.
      kernel_init: initializer of the kernel, [3, 3, channels of all maps, features].
      dtype: name of the type computed in and returned; parameters stay float32.
    """

    features: int
    kernel_init: nn.initializers.Initializer
    dtype: str = 'float32'

    @nn.compact
    def __call__(self, maps: Sequence[Float[Array, '...']]) -> Float[Array, 'n h w features']:
        """Returns the convolution of the maps.

        Raises InputError for a map of another kind of size.
        """
        channels = [x.shape[-1] for x in maps]
        shape = (TAPS, TAPS, sum(channels), self.features)
        kernel = jnp.asarray(parameter(self, 'kernel', self.kernel_init, shape), self.dtype)
        parts: dict[int, list[Any]] = {}
        start = 0
        for x, count in zip(maps, channels, strict=True):
            part = (zero_outside(x.astype(self.dtype)), kernel[:, :, start : start + count])
            parts.setdefault(_factor(maps[0], x), []).append(part)
            start += count
        results = (_convolve_parts(factor, of) for factor, of in parts.items())
        return functools.reduce(jnp.add, results)


def _factor(first: Array, x: Array) -> int:
    """Returns how many times as large the first map is."""
    (height, width), (h, w) = first.shape[1:3], x.shape[1:3]
    if height % h or width % w or height // h != width // w:
        raise InputError(
            f'a map of {h} x {w} pixels cannot be enlarged by a whole factor to {height} x {width}'
        )
    return height // h


def _convolve_parts(factor: int, parts: list[tuple[Array, Array]]) -> Array:
    maps, kernels = zip(*parts, strict=True)
    x, kernel = jnp.concatenate(maps, axis=-1), jnp.concatenate(kernels, axis=2)
    return convolve(x, kernel) if factor == 1 else convolve_enlarged(x, kernel, factor)
