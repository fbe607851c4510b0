"""Weight-normalised convolutions, of a whole map or row by row as autoregressive networks sample.

Salimans and Kingma 2016 (arXiv:1602.07868): kernel = scale * v / |v|, a norm for each output
channel. Start values are PyTorch's: v as a convolution's kernel, scale its norm.

A network that draws one code after the other would compute whole maps again for each. With a
`RowCache` a causal convolution looks at each input once: at the start of a row the rows above are
convolved for all its columns at once, so that a step has but the taps of its own row to add.
"""

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax
from jaxtyping import Array, Float, Int

from sr_jax.layers.convolution import convolve, uniform_init
from sr_jax.layers.parameter import parameter

FOLDED = 'folded'  # the collection of kernels whose norm is computed already


class Padding(NamedTuple):
    """Rows and columns of zeros around the input."""

    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0


class RowCache(flax.struct.PyTreeNode):
    """What a causal convolution keeps while a row is drawn.

    Attributes:
      above: its input in the rows above that it looks at, with the padding at their sides.
      row: likewise, the row at hand as far as it is known.
      partial: what the rows above contribute to each column of this row.
    """

    above: Float[Array, 'n rows w2 c']
    row: Float[Array, 'n w2 c']
    partial: Float[Array, 'n w o']


class WeightNormConvolution(nn.Module):
    """A convolution with a weight-normalised kernel [height, width, in, out].

    Attributes:
      features: channels of the output.
      kernel_size: taps down and across.
      padding: see `Padding`.
      blind_from: column from which on the taps of the last row are zero; None: none is.
      use_bias: whether there is a bias.
      dtype: name of the type computed in and returned; parameters stay float32.
    """

    features: int
    kernel_size: tuple[int, int] = (1, 1)
    padding: Padding = Padding()
    blind_from: int | None = None
    use_bias: bool = True
    dtype: str = 'float32'

    def __call__(self, x: Float[Array, 'n h w c']) -> Float[Array, 'n h2 w2 features']:
        """Returns the convolution of a whole map."""
        kernel, bias = self.weights(x.shape[-1])
        # `convolve` pads by itself, to both sides alike: what is wanted besides at the beginning is
        # added, and what is too much at the end is left out.
        own = [(taps - 1) // 2 for taps in self.kernel_size]
        sides = (self.padding[:2], self.padding[2:])
        added = [(first - k, max(last - k, 0)) for k, (first, last) in zip(own, sides, strict=True)]
        surplus = [max(k - last, 0) for k, (_, last) in zip(own, sides, strict=True)]
        y = convolve(jnp.pad(x.astype(self.dtype), ((0, 0), *added, (0, 0))), kernel)
        y = y[:, : y.shape[1] - surplus[0], : y.shape[2] - surplus[1]]
        return y + bias[None, None, None, :]

    def at(self, x: Float[Array, '*place c']) -> Float[Array, '*place features']:
        """Returns the convolution of one tap at some places."""
        kernel, bias = self.weights(x.shape[-1])
        y = x.astype(self.dtype) @ kernel[0, 0]
        return y + bias.reshape((1,) * (y.ndim - 1) + (-1,))

    def start(self, n: int, width: int, channels: int) -> RowCache:
        """Returns the cache before the first row of n maps of some width."""
        wide = width + self.padding.left + self.padding.right
        return RowCache(
            jnp.zeros((n, self.kernel_size[0] - 1, wide, channels), self.dtype),
            jnp.zeros((n, wide, channels), self.dtype),
            jnp.zeros((n, width, self.features), self.dtype),
        )

    def start_row(self, cache: RowCache) -> RowCache:
        """Returns the cache at the start of the next row."""
        above = jnp.concatenate([cache.above, cache.row[:, None]], axis=1)[:, 1:]
        kernel, bias = self.weights(cache.row.shape[-1])
        rows = lax.conv_general_dilated(
            above, kernel[:-1], (1, 1), 'VALID', dimension_numbers=('NHWC', 'HWIO', 'NHWC')
        )
        return RowCache(above, jnp.zeros_like(cache.row), rows[:, 0] + bias[None, None, :])

    def step(
        self, cache: RowCache, x: Float[Array, 'n c'], column: Int[Array, '']
    ) -> tuple[Float[Array, 'n features'], RowCache]:
        """Takes in the input in a column of the row, and returns the output there."""
        x = x.astype(self.dtype)
        row = lax.dynamic_update_slice_in_dim(
            cache.row, x[:, None], column + self.padding.left, axis=1
        )
        kernel, _ = self.weights(x.shape[-1])
        seen = self.kernel_size[1] if self.blind_from is None else self.blind_from
        taps = lax.dynamic_slice_in_dim(row, column, seen, axis=1)
        own = taps.reshape(len(x), -1) @ kernel[-1, :seen].reshape(-1, self.features)
        partial = lax.dynamic_index_in_dim(cache.partial, column, axis=1, keepdims=False)
        return partial + own, cache.replace(row=row)

    @nn.compact
    def weights(
        self, channels: int
    ) -> tuple[Float[Array, 'k l channels features'], Float[Array, ' features']]:
        """Returns the normalised kernel for so many channels, and the bias, in `dtype`."""
        shape = (*self.kernel_size, channels, self.features)
        start = uniform_init(self.kernel_size[0] * self.kernel_size[1] * channels)
        direction = jnp.asarray(parameter(self, 'kernel', start, shape))
        scale = self.param('scale', lambda key: _norm(direction))
        bias = jnp.zeros(self.features, jnp.float32)
        if self.use_bias:
            bias = parameter(self, 'bias', start, (self.features,))
        if not self.has_variable(FOLDED, 'kernel') or self.is_mutable_collection(FOLDED):
            if self.blind_from is not None:
                direction = direction.at[-1, self.blind_from :].set(0)
            kernel = direction * (scale / _norm(direction))[None, None, None, :]
            if self.is_mutable_collection(FOLDED) and not self.is_initializing():
                self.put_variable(FOLDED, 'kernel', kernel)
        else:
            kernel = self.get_variable(FOLDED, 'kernel')
        return kernel.astype(self.dtype), bias.astype(self.dtype)


def _norm(kernel: Float[Array, 'k l c o']) -> Float[Array, ' o']:
    return jnp.sqrt(jnp.sum(kernel**2, axis=(0, 1, 2)))


def fold(module: nn.Module, variables: Mapping[str, Any], *arguments: Any) -> dict[str, Any]:
    """Returns the variables with the normalised kernels beside them, computed once.

    Args:
      module: a network of such convolutions.
      variables: what its `apply` takes.
      arguments: that it can be called with; of the call nothing but the kernels is computed.
    """
    apply = jax.jit(functools.partial(module.apply, mutable=[FOLDED]))
    return {**variables, **apply(variables, *arguments)[1]}
