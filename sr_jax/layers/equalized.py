"""Layers with an equalized learning rate, as StyleGAN2 has them.

Parameters start as N(0, 1) and are scaled where they are used, by 1 / sqrt(fan in), so that Adam
changes all of them alike (Karras et al. 2017, arXiv:1710.10196, section 4.1). An activation here is
a leaky ReLU of slope 0.2, times sqrt(2), which keeps the variance.
"""

import math

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from sr_jax.layers.convolution import convolve, normal_init
from sr_jax.layers.parameter import parameter
from sr_jax.layers.upfirdn import smooth

SLOPE = 0.2


def activate(x: Float[Array, '*shape']) -> Float[Array, '*shape']:
    """Returns the activation of StyleGAN2: a leaky ReLU, times sqrt(2)."""
    return nn.leaky_relu(x, SLOPE) * jnp.asarray(math.sqrt(2), x.dtype)


class EqualizedLinear(nn.Module):
    """A linear layer.

    Attributes:
      features: of the output.
      rate: what the learning rate is multiplied by, as the parameters start so much larger and are
        used so much smaller (the mapping network's is 0.01).
      bias_start: where the bias starts.
      activated: whether an activation follows.
    """

    features: int
    rate: float = 1.0
    bias_start: float = 0.0
    activated: bool = False

    @nn.compact
    def __call__(self, x: Float[Array, 'n c']) -> Float[Array, 'n features']:
        """Returns the layer's output, float32."""
        channels = x.shape[-1]
        kernel = parameter(self, 'kernel', normal_init(1 / self.rate), (channels, self.features))
        start = nn.initializers.constant(self.bias_start)
        bias = parameter(self, 'bias', start, (self.features,))
        y = x.astype(jnp.float32) @ (kernel * (self.rate / math.sqrt(channels)))
        y = y + (bias * self.rate)[None]
        return activate(y) if self.activated else y


class EqualizedConvolution(nn.Module):
    """A convolution, which halves the sides after a blur where it is to.

    Attributes:
      features: channels of the output.
      kernel_size: taps along each side, odd.
      halving: blur and take every second pixel.
      activated: whether a bias and an activation follow; else there is neither.
      dtype: name of the type computed in and returned; parameters stay float32.
    """

    features: int
    kernel_size: int = 3
    halving: bool = False
    activated: bool = True
    dtype: str = 'float32'

    @nn.compact
    def __call__(self, x: Float[Array, 'n h w c']) -> Float[Array, 'n h2 w2 features']:
        """Returns the layer's output."""
        taps, channels = self.kernel_size, x.shape[-1]
        shape = (taps, taps, channels, self.features)
        kernel = parameter(self, 'kernel', normal_init(1.0), shape) / math.sqrt(channels * taps**2)
        apply = convolve_halving if self.halving else convolve
        y: Array = apply(x.astype(self.dtype), kernel.astype(self.dtype))
        if not self.activated:
            return y
        bias = parameter(self, 'bias', nn.initializers.zeros, (self.features,))
        return activate(y + bias.astype(self.dtype)[None, None, None])


def convolve_halving(
    x: Float[Array, 'n h w c'], kernel: Float[Array, 'k k c o']
) -> Float[Array, 'n h/2 w/2 o']:
    """Blurs x and convolves it with every second pixel as a center; of an odd number of taps."""
    around = 2 + len(kernel) - 1  # zeros, of which both filters together leave one before
    blurred = smooth(x, ((around + 1) // 2, around // 2))
    return convolve(blurred, kernel, 2, padded=False)
