"""Pixels to channels and back, and enlargement, as PyTorch and TensorFlow 1 align them."""

import functools
import math
import operator
from collections.abc import Sequence

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

CUBIC = -0.75  # a of TensorFlow 1's cubic kernel


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
    if factor == 1:
        return x
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
    phases = []
    for phase in range(factor):
        position = (phase + 0.5) / factor - 0.5
        before = math.floor(position)
        weight = position - before
        phases.append((before, (1 - weight, weight)))
    return _upsample_axis(_upsample_axis(x, phases, 1), phases, 2)


def upsample_from_corner(
    x: Float[Array, 'n h w c'], factor: int, kernel: str = 'linear'
) -> Float[Array, 'n factor*h factor*w c']:
    """Multiplies height and width by `factor`; every `factor`-th pixel is one of x, from the first.

    As TensorFlow 1 resizes without `align_corners` (`resize_bilinear`, `resize_bicubic`), which
    TecoGAN (Chu et al. 2020, arXiv:1811.09393) was trained with: not between centers of pixels, so
    that the result lies half a large pixel less half a small one to the upper left.

    Args:
      x: images; beyond their edges the outer pixels repeat.
      factor: 1 or more.
      kernel: 'linear', or 'cubic': Keys 1981 with a = -0.75.
    """
    weigh = {'linear': _linear_weights, 'cubic': _cubic_weights}[kernel]
    phases = [weigh(phase / factor) for phase in range(factor)]
    return _upsample_axis(_upsample_axis(x, phases, 1), phases, 2)


def _linear_weights(t: float) -> tuple[int, tuple[float, ...]]:
    return 0, (1 - t, t)


def _cubic_weights(t: float) -> tuple[int, tuple[float, ...]]:
    def near(d: float) -> float:
        return (CUBIC + 2) * d**3 - (CUBIC + 3) * d**2 + 1

    def far(d: float) -> float:
        return CUBIC * (d**3 - 5 * d**2 + 8 * d - 4)

    return -1, (far(1 + t), near(t), near(1 - t), far(2 - t))


def _upsample_axis(x: Array, phases: Sequence[tuple[int, tuple[float, ...]]], axis: int) -> Array:
    """Enlarges along one axis: new pixels are sums of neighbors, with as many sets of weights.

    Each phase says where its neighbors begin, from the pixel itself, and their weights.
    """
    size = x.shape[axis]
    first = lax.slice_in_dim(x, 0, 1, axis=axis)
    last = lax.slice_in_dim(x, size - 1, size, axis=axis)
    before = -min(start for start, _ in phases)
    after = max(start + len(weights) - 1 for start, weights in phases)
    padded = jnp.concatenate([*[first] * before, x, *[last] * after], axis=axis)

    def weighted(start: int, weight: float) -> Array:
        begin = before + start
        return weight * lax.slice_in_dim(padded, begin, begin + size, axis=axis)

    parts = [
        functools.reduce(operator.add, [weighted(start + i, w) for i, w in enumerate(weights)])
        for start, weights in phases
    ]
    shape = (*x.shape[:axis], size * len(phases), *x.shape[axis + 1 :])
    return jnp.stack(parts, axis=axis + 1).reshape(shape)
