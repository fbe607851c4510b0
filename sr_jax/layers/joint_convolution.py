"""One convolution over several maps, of which some may be smaller than its output."""

import functools
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from sr_jax.errors import InputError
from sr_jax.layers.borders import held
from sr_jax.layers.convolution import convolve

TAPS = 3


def convolve_enlarged(
    x: Float[Array, 'n h w c'], kernel: Float[Array, '3 3 c o'], factor: int
) -> Float[Array, 'n h*factor w*factor o']:
    """`convolve(upsample_nearest(x, factor), kernel)`, from x as it is.

    Under the three taps of a side lie at most two different pixels of x, so along a side there are
    three kinds of output pixels: the first of a pixel of x, the last, and those between, which are
    alike. One 2 x 2 convolution has them all. That is 16 multiplications per pixel of x and pair of
    channels instead of 36 for a factor of 2, and 36 instead of 144 for a factor of 4.

    Args:
      factor: at least 2.
    """
    rows = _kinds(kernel, 0, factor)
    kinds = [both for row in rows for both in _kinds(row, 1, factor)]
    n, h, w, _ = x.shape
    y = convolve(jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))), jnp.concatenate(kinds, axis=-1))
    return _laid_out(y.reshape(n, h + 1, w + 1, len(rows), len(rows), kernel.shape[-1]), factor)


def _kinds(kernel: Array, axis: int, factor: int) -> list[Array]:
    """What three taps along an axis are, as two, to the first, a middle and the last pixel."""
    before, here, after = jnp.moveaxis(kernel, axis, 0)
    pairs = [(before, here + after), (before + here, after)]
    if factor > 2:
        pairs.insert(1, (jnp.zeros_like(here), before + here + after))
    return [jnp.stack(pair, axis=axis) for pair in pairs]


def _laid_out(y: Array, factor: int) -> Array:
    """Kinds of output pixels, [n, h + 1, w + 1, kind, kind, o], where they belong."""
    n, h, w, count, _, features = y.shape
    h, w = h - 1, w - 1
    # Only the last kind sees a pixel of x and the one after it, so it begins one further on.
    kinds = [0, *[1] * (factor - 2), count - 1]
    starts = [int(kind == count - 1) for kind in kinds]
    rows = []
    for row, top in zip(kinds, starts, strict=True):
        columns = [
            y[:, top : top + h, left : left + w, row, column]
            for column, left in zip(kinds, starts, strict=True)
        ]
        rows.append(jnp.stack(columns, axis=3))
    return jnp.stack(rows, axis=2).reshape(n, h * factor, w * factor, features)


class JointConvolution(nn.Module):
    """A 3 x 3 convolution of maps side by side in their channels, without a bias.

    The first map has the size of the output; others may be smaller by a whole factor, the same for
    both sides, and count as enlarged by repeating their pixels, at the cost of `convolve_enlarged`.

    Attributes:
      features: channels of the output.
      kernel_start: initialiser of the kernel, [3, 3, channels of all maps, features].
      dtype: name of the type computed in and returned; parameters stay float32.
    """

    features: int
    kernel_start: nn.initializers.Initializer
    dtype: str = 'float32'

    @nn.compact
    def __call__(self, maps: Sequence[Float[Array, '...']]) -> Float[Array, 'n h w features']:
        """The convolution of the maps. Raises InputError for a map of another kind of size."""
        channels = [x.shape[-1] for x in maps]
        shape = (TAPS, TAPS, sum(channels), self.features)
        kernel = jnp.asarray(self.param('kernel', self.kernel_start, shape), self.dtype)
        parts: dict[int, list[Any]] = {}
        start = 0
        for x, count in zip(maps, channels, strict=True):
            part = (held(x.astype(self.dtype)), kernel[:, :, start : start + count])
            parts.setdefault(_factor(maps[0], x), []).append(part)
            start += count
        return functools.reduce(jnp.add, (_convolved(factor, of) for factor, of in parts.items()))


def _factor(first: Array, x: Array) -> int:
    """How many times as large the first map is."""
    (height, width), (h, w) = first.shape[1:3], x.shape[1:3]
    if height % h or width % w or height // h != width // w:
        raise InputError(
            f'a map of {h} x {w} pixels cannot be enlarged by a whole factor to {height} x {width}'
        )
    return height // h


def _convolved(factor: int, parts: list[tuple[Array, Array]]) -> Array:
    maps, kernels = zip(*parts, strict=True)
    x, kernel = jnp.concatenate(maps, axis=-1), jnp.concatenate(kernels, axis=2)
    return convolve(x, kernel) if factor == 1 else convolve_enlarged(x, kernel, factor)
