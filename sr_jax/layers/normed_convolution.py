"""A convolution without bias and its batch norm, as classifiers and what stands on them have it."""

import math
from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from sr_jax.layers.batch_norm import BatchNorm
from sr_jax.layers.convolution import normal_init
from sr_jax.layers.in_phases import in_phases
from sr_jax.layers.switched_conv import SwitchedConv
from sr_jax.layers.switching import Switching, convolution


def kaiming_fan_out(key: Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> Array:
    """Initializes by N(0, 2 / fan_out): He et al. 2015 (arXiv:1502.01852), of kernels
    [..., height, width, in, out], each with a fan out of height * width * out."""
    deviation = math.sqrt(2 / (shape[-4] * shape[-3] * shape[-1]))
    return normal_init(deviation)(key, shape, dtype)


def normed_convolution(
    parent: nn.Module,
    switching: Switching,
    suffix: str,
    x: Float[Array, 'n h w c'],
    features: int,
    kernel_size: int,
    stride: int = 1,
    dilation: int = 1,
    dtype: str = 'float32',
    train: bool = False,
    latents: Float[Array, 'n h3 w3 d'] | None = None,
) -> Float[Array, 'n h2 w2 features']:
    """Returns the batch norm 'norm<suffix>' of the convolution 'conv<suffix>' of x, float32.

    To be used in a compact method of `parent`. Kernels start from Kaiming's normal distribution by
    the fan out, as torchvision's.

    Args:
      parent: the module that both are parts of.
      switching: which convolutions are switched, and how.
      suffix: of the names.
      x: features.
      features: channels of the output.
      kernel_size: taps along each side.
      stride: step along each side.
      dilation: pixels between taps, from one to the next; with a stride of 1 only.
      dtype: name of the type that the convolution computes in.
      train: whether the batch norm normalizes by the batch.
      latents: what the selector of a switched convolution looks at in place of x, without stride
        and dilation; repeated to the size of x where they are smaller.
    """
    conv = convolution(
        *(parent, switching, f'conv{suffix}', features, kernel_size, stride, dtype),
        kernel_init=kaiming_fan_out,
        use_bias=False,
    )
    if latents is not None and isinstance(conv, SwitchedConv):
        y = conv(x, train, repeat_to(latents, *x.shape[1:3]))
    else:
        y = in_phases(lambda part: conv(part, train), x, dilation)
    return BatchNorm(name=f'norm{suffix}')(y, train)


def repeat_to(
    x: Float[Array, 'n h w c'], height: int, width: int
) -> Float[Array, 'n height width c']:
    """Repeats the pixels of x until they cover a size, which was halved to that of x."""
    factor = halved(height, width, *x.shape[1:3])
    return x.repeat(factor, axis=1).repeat(factor, axis=2)[:, :height, :width]


def halved(height: int, width: int, small_height: int, small_width: int) -> int:
    """Returns how many pixels along a side are one after halvings, each rounded up."""
    factor = 1
    while factor * small_height < height or factor * small_width < width:
        factor *= 2
    return factor
