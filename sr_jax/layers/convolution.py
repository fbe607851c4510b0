"""Convolutions over NHWC pictures with PyTorch's padding and start values.

Kernels are stored [height, width, in, out] in float32 and applied as cross-correlations, whatever
the type that is computed in.
"""

import math

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax
from jaxtyping import Array, Float

_LAYOUT = ('NHWC', 'HWIO', 'NHWC')


def uniform_start(fan_in: int):
    """Initialiser U(-1/sqrt(fan_in), 1/sqrt(fan_in)), PyTorch's default for kernels and biases."""
    bound = 1 / math.sqrt(fan_in)

    def draw(key, shape, dtype=jnp.float32):
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return draw


class Convolution(nn.Module):
    """Convolution of `kernel_size` squared taps, padded with (kernel_size - 1) // 2 zeros.

    Odd kernels keep ceil(size / stride) pixels; a kernel of 4 with stride 2 halves even sizes.

    Attributes:
      features: channels of the output.
      kernel_size: taps along each side.
      stride: step along each side.
      dtype: name of the type computed in and returned; parameters stay float32.
    """

    features: int
    kernel_size: int
    stride: int = 1
    dtype: str = 'float32'

    @nn.compact
    def __call__(self, x: Float[Array, 'n h w c']) -> Float[Array, 'n h2 w2 features']:
        start = uniform_start(x.shape[-1] * self.kernel_size**2)
        shape = (self.kernel_size, self.kernel_size, x.shape[-1], self.features)
        kernel = self.param('kernel', start, shape).astype(self.dtype)
        bias = self.param('bias', start, (self.features,)).astype(self.dtype)
        padding = [((self.kernel_size - 1) // 2,) * 2] * 2
        y = lax.conv_general_dilated(
            x.astype(self.dtype), kernel, (self.stride,) * 2, padding, dimension_numbers=_LAYOUT
        )
        return y + bias[None, None, None, :]


class TransposedConvolution(nn.Module):
    """Doubles height and width: the transpose of a 4 x 4 convolution with stride 2, padding 1.

    Written as the convolution of `kernel` over the input with zeros between its pixels, so the
    kernel is PyTorch's `ConvTranspose2d(.., 4, 2, 1)` weight turned by 180 degrees. Start values
    have PyTorch's bound too, which counts the output channels as the fan in.

    Attributes:
      features: channels of the output.
      dtype: name of the type computed in and returned; parameters stay float32.
    """

    features: int
    dtype: str = 'float32'

    @nn.compact
    def __call__(self, x: Float[Array, 'n h w c']) -> Float[Array, 'n 2*h 2*w features']:
        start = uniform_start(self.features * 4**2)
        kernel = self.param('kernel', start, (4, 4, x.shape[-1], self.features))
        bias = self.param('bias', start, (self.features,)).astype(self.dtype)
        y = lax.conv_general_dilated(
            x.astype(self.dtype),
            kernel.astype(self.dtype),
            window_strides=(1, 1),
            padding=[(2, 2), (2, 2)],
            lhs_dilation=(2, 2),
            dimension_numbers=_LAYOUT,
        )
        return y + bias[None, None, None, :]


def upsample_nearest(x: Float[Array, 'n h w c']) -> Float[Array, 'n 2*h 2*w c']:
    """Double height and width by repeating every pixel."""
    return x.repeat(2, axis=1).repeat(2, axis=2)
