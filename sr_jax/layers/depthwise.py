"""Convolutions of each channel by itself, with PyTorch's padding and start values."""

import contextlib
import contextvars
from collections.abc import Iterator

import jax.numpy as jnp
from flax import linen as nn
from jax import lax
from jaxtyping import Array, Float

from sr_jax.layers.borders import zero_outside
from sr_jax.layers.convolution import uniform_init
from sr_jax.layers.parameter import parameter
from sr_jax.layers.windows import crop

# Set while a network is traced.
_whole: contextvars.ContextVar[bool] = contextvars.ContextVar('whole', default=False)


@contextlib.contextmanager
def whole_convolutions() -> Iterator[None]:
    """Inside, convolutions of each channel are grouped ones, for programs that others run."""
    token = _whole.set(True)
    try:
        yield
    finally:
        _whole.reset(token)


class DepthwiseConvolution(nn.Module):
    """Convolves every channel with a kernel of its own, padded with zeros.

    Kernels are [height, width, 1, channels]. It is computed as a sum of shifted products, which
    XLA makes one loop of: on CPUs grouped convolutions take many times as long. Programs for
    others have such a convolution: see `whole_convolutions`.

    Attributes:
      kernel_size: taps along each side, an odd number.
      dtype: name of the type computed in and returned; parameters stay float32.
      use_bias: whether there is a bias.
    """

    kernel_size: int = 3
    dtype: str = 'float32'
    use_bias: bool = True

    @nn.compact
    def __call__(self, x: Float[Array, 'n h w c']) -> Float[Array, 'n h w c']:
        """Features of the same shape."""
        taps, (n, h, w, channels) = self.kernel_size, x.shape
        start = uniform_init(taps**2)
        kernel = parameter(self, 'kernel', start, (taps, taps, 1, channels))
        kernel = jnp.asarray(kernel, self.dtype)
        around = (taps // 2,) * 2
        x = zero_outside(x.astype(self.dtype))
        if _whole.get():
            made = lax.conv_general_dilated(
                x,
                kernel,
                (1, 1),
                (around, around),
                dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
                feature_group_count=channels,
            )
        else:
            padded = jnp.pad(x, ((0, 0), around, around, (0, 0)))
            made = jnp.zeros(x.shape, self.dtype)
            for i in range(taps):
                for j in range(taps):
                    moved = lax.slice(padded, (0, i, j, 0), (n, i + h, j + w, channels))
                    made += moved * kernel[i, j][None, None]
        if self.use_bias:
            bias = parameter(self, 'bias', start, (channels,))
            made += jnp.asarray(bias, self.dtype)[None, None, None]
        return made


class DepthwiseReduction(nn.Module):
    """Makes one pixel of each square, by a kernel of its own for every channel.

    Kernels are [factor, factor, 1, channels]; pixels beyond the last whole square are left out.

    Attributes:
      factor: side of the squares.
      dtype: name of the type computed in and returned; parameters stay float32.
    """

    factor: int
    dtype: str = 'float32'

    @nn.compact
    def __call__(self, x: Float[Array, 'n h w c']) -> Float[Array, 'n h2 w2 c']:
        """Features of a factor less pixels along each side."""
        factor, (n, h, w, channels) = self.factor, x.shape
        start = uniform_init(factor**2)
        kernel = parameter(self, 'kernel', start, (factor, factor, 1, channels))
        bias = jnp.asarray(parameter(self, 'bias', start, (channels,)), self.dtype)
        if _whole.get():
            made = lax.conv_general_dilated(
                x.astype(self.dtype),
                jnp.asarray(kernel, self.dtype),
                (factor, factor),
                'VALID',
                dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
                feature_group_count=channels,
            )
            return made + bias[None, None, None]
        down, across = h // factor, w // factor
        squares = crop(x, down * factor, across * factor).astype(self.dtype)
        squares = squares.reshape(n, down, factor, across, factor, channels)
        weights = jnp.asarray(kernel, self.dtype)[:, :, 0]
        return jnp.einsum('nhkwlc,klc->nhwc', squares, weights) + bias[None, None, None]
