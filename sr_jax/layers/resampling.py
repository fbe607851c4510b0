"""Pixels to channels and back, and bilinear enlargement, as PyTorch orders and aligns them."""

import math

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float


def pixel_shuffle(
    x: Float[Array, 'n h w c*factor*factor'], factor: int
) -> Float[Array, 'n factor*h factor*w c']:
    """Lays channels out as pixels: sub-pixel convolution, Shi et al. 2016 (arXiv:1609.05158).

    Channel c * factor^2 + dy * factor + dx of a pixel becomes channel c of the pixel (dy, dx) in
    its square of factor x factor. The channels must divide by factor^2.
    """
    n, h, w, channels = x.shape
    x = x.reshape(n, h, w, channels // factor**2, factor, factor)
    return x.transpose(0, 1, 4, 2, 5, 3).reshape(n, h * factor, w * factor, -1)


def pixel_unshuffle(
    x: Float[Array, 'n factor*h factor*w c'], factor: int
) -> Float[Array, 'n h w c*factor*factor']:
    """Returns the inverse of `pixel_shuffle`; height and width must divide by `factor`."""
    n, h, w, channels = x.shape
    x = x.reshape(n, h // factor, factor, w // factor, factor, channels)
    x = x.transpose(0, 1, 3, 5, 2, 4)
    return x.reshape(n, h // factor, w // factor, channels * factor**2)


def upsample_bilinear(
    x: Float[Array, 'n h w c'], factor: int
) -> Float[Array, 'n factor*h factor*w c']:
    """Multiplies height and width by `factor`, linearly between the centers of the pixels.

    Beyond the outer centers the outer pixels repeat: PyTorch's 'bilinear' without `align_corners`.
    """
    return _upsample_axis(_upsample_axis(x, factor, 1), factor, 2)


def _upsample_axis(x: Array, factor: int, axis: int) -> Array:
    """Enlarges along one axis: every new pixel is a mean of two, with `factor` pairs of weights."""
    size = x.shape[axis]
    first = lax.slice_in_dim(x, 0, 1, axis=axis)
    last = lax.slice_in_dim(x, size - 1, size, axis=axis)
    padded = jnp.concatenate([first, x, last], axis=axis)

    def shift(start: int) -> Array:
        return lax.slice_in_dim(padded, start, start + size, axis=axis)

    phases = []
    for phase in range(factor):
        position = (phase + 0.5) / factor - 0.5
        before = math.floor(position)
        weight = position - before
        pair = shift(before + 1), shift(before + 2)
        phases.append((1 - weight) * pair[0] + weight * pair[1])
    shape = (*x.shape[:axis], size * factor, *x.shape[axis + 1 :])
    return jnp.stack(phases, axis=axis + 1).reshape(shape)
