"""Soft routing: all kernels of a switched convolution everywhere, weighted by their gates."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from sr_jax.layers.convolution import convolve


def blended_convolution(
    x: Float[Array, 'n h w c'],
    gates: Float[Array, 'n h2 w2 b'],
    kernel: Float[Array, 'b k k c o'],
    bias: Float[Array, 'o'] | None = None,
    stride: int = 1,
) -> Float[Array, 'n h2 w2 o']:
    """Returns sum_s gate_s (conv_s(x) + bias): "raw torch" of neonbjb/SwitchedConvolutions.

    With one-hot gates it is a switched convolution at b times the cost.

    Args:
      x: features.
      gates: the weight of each kernel at each pixel of the output.
      kernel: all b of them.
      bias: one for all kernels, or None.
      stride: step along each side.
    """
    breadth, taps, _, channels, features = kernel.shape
    every = kernel.transpose(1, 2, 3, 0, 4).reshape(taps, taps, channels, breadth * features)
    y = convolve(x, every, stride).reshape(*gates.shape, features)
    if bias is not None:
        y += bias[None, None, None, None, :]
    return jnp.einsum('nhwb,nhwbo->nhwo', gates.astype(y.dtype), y)
