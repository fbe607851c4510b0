"""Dilated convolutions (Yu and Koltun 2015, arXiv:1511.07122) by dense ones."""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float


def in_phases(
    conv: Callable[[Array], Array], x: Float[Array, 'n h w c'], dilation: int
) -> Float[Array, 'n h w c2']:
    """Returns what a convolution gives whose taps are `dilation` pixels apart.

    Pixels that are so far apart become images of their own, of which there are dilation^2; what
    the convolution gives of them is put back. So a switched one can be dilated too.

    Args:
      conv: a convolution of stride 1, padded with zeros, of [m, h2, w2, c].
      x: features.
      dilation: 1 or more.
    """
    if dilation == 1:
        return conv(x)
    n, height, width, channels = x.shape
    rows, columns = (-(-side // dilation) for side in (height, width))
    after = (rows * dilation - height, columns * dilation - width)
    x = jnp.pad(x, ((0, 0), (0, after[0]), (0, after[1]), (0, 0)))
    x = x.reshape(n, rows, dilation, columns, dilation, channels).transpose(0, 2, 4, 1, 3, 5)
    y = conv(x.reshape(n * dilation**2, rows, columns, channels))
    y = y.reshape(n, dilation, dilation, rows, columns, -1).transpose(0, 3, 1, 4, 2, 5)
    return y.reshape(n, rows * dilation, columns * dilation, -1)[:, :height, :width]
