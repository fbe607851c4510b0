"""3 x 3 convolutions and their gradients by a quarter of the products: F(4 x 4, 3 x 3).

Winograd's minimal filtering along both sides (`toom_cook`): tiles of 6 x 6 pixels, which overlap by
2, and kernels go to where a convolution is 36 products, and tiles of 4 x 4 pixels come back. The
gradient of x is such a convolution too, of the kernel turned. That of the kernel is made of as few
products: of tiles of x and of the gradient of what was made of them, at each of the 36 places.

Rows of tiles are computed one strip after another, so that what is transformed stays in the cache;
those of small images at once.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from sr_jax.kernels.mesh_axes import vary_equally  # type: ignore[import-not-found]
from sr_jax.layers.correlation import turn_kernel
from sr_jax.layers.toom_cook import INPUT, KERNEL, OUTPUT, SIDE, TILE, combine

# Numbers of a strip at each of a tile's 36 places, on each device: more would leave a core's cache.
STRIP = 2**13
WHOLE = 2**17  # of so many at most, all rows are computed at once, which two threads do sooner

# Of each of 36 places, the part of each of 9 taps.
_OF_TAPS = np.einsum('ai,bj->baij', KERNEL, KERNEL).reshape(SIDE**2, 9)


class Strips(NamedTuple):
    """How rows of tiles are computed.

    Attributes:
      number: of the strips.
      rows: of tiles in each.
      across: tiles of a row.
    """

    number: int
    rows: int
    across: int

    @classmethod
    def of(
        cls, shape: tuple[int, ...], channels: int, devices: int, strip: int, whole: int
    ) -> 'Strips':
        """Returns those of images [n, h, w, _]; further arguments as `convolve`'s."""
        down, across = (count_tiles(side) for side in shape[1:3])
        a_row = shape[0] * across * channels
        number = 1
        if down * a_row > whole * devices:
            number = -(-down // max(strip * devices // a_row, 1))
        return cls(number, -(-down // number), across)

    def pad(self, x: Float[Array, 'n h w c'], edge: int) -> Float[Array, 'n h2 w2 c']:
        """Returns images with zeros after them, up to whole tiles and an `edge`, and before them as
        wide an edge; computed once for all strips."""
        sides = zip((self.number * self.rows, self.across), x.shape[1:3], strict=True)
        after = [(edge, tiles * TILE + edge - side) for tiles, side in sides]
        padded = jnp.pad(x, ((0, 0), *after, (0, 0)))
        return lax.optimization_barrier(padded) if edge or self.number > 1 else padded

    def cut(self, padded: Array, number: Array, edge: int) -> Array:
        """Returns the pixels of a strip, of images that were padded so."""
        n, _, width, channels = padded.shape
        size = (n, self.rows * TILE + 2 * edge, width, channels)
        return lax.dynamic_slice(padded, (0, number * self.rows * TILE, 0, 0), size)


def count_tiles(side: int) -> int:
    """Returns how many tiles cover so many pixels."""
    return -(-side // TILE)


# Traced once for all layers of the same shapes.
@functools.partial(jax.jit, static_argnums=(2, 3, 4))
def convolve(
    x: Float[Array, 'n h w c'],
    kernel: Float[Array, '3 3 c o'],
    devices: int = 1,
    strip: int = STRIP,
    whole: int = WHOLE,
) -> Float[Array, 'n h w o']:
    """Returns the cross-correlation of x with a kernel, a zero around x.

    Args:
      x: images or features.
      kernel: of 3 x 3 taps.
      devices: over which the images are split.
      strip: most tiles computed at a time on each, times their channels.
      whole: as many are computed all at once.
    """
    n, height, width, channels = x.shape
    strips = Strips.of(x.shape, channels, devices, strip, whole)
    padded = strips.pad(x, 1)
    factors = transform_kernel(kernel)

    def compute(part: Array) -> Array:
        return transform_output(multiply(transform_input(part), factors), n, strips.across)

    if strips.number == 1:
        return compute(padded)[:, :height, :width]

    def compute_strip(made: Array, number: Array) -> tuple[Array, None]:
        pixels = compute(strips.cut(padded, number, 1))
        first = (0, number * strips.rows * TILE, 0, 0)
        return lax.dynamic_update_slice(made, pixels, first), None

    # All of it is written. Made of what is kept, XLA makes it after what is not kept was freed.
    sides = (n, strips.number * strips.rows * TILE, strips.across * TILE, kernel.shape[3])
    blank = jnp.broadcast_to(padded[:, 1:2, 1:2, :1], sides)
    return lax.scan(compute_strip, blank, jnp.arange(strips.number))[0][:, :height, :width]


def input_gradient(
    kernel: Float[Array, '3 3 c o'], cotangent: Float[Array, 'n h w o'], devices: int = 1
) -> Float[Array, 'n h w c']:
    """Returns the gradient of x, of what `convolve` returns."""
    return convolve(cotangent, turn_kernel(kernel), devices)


@functools.partial(jax.jit, static_argnums=(2, 3, 4))
def kernel_gradient(
    x: Float[Array, 'n h w c'],
    cotangent: Float[Array, 'n h w o'],
    devices: int = 1,
    strip: int = STRIP,
    whole: int = WHOLE,
) -> Float[Array, '3 3 c o']:
    """Returns the gradient of the kernel, of what `convolve` returns; arguments as there."""
    channels = max(x.shape[3], cotangent.shape[3])
    strips = Strips.of(x.shape, channels, devices, strip, whole)
    padded, gradients = strips.pad(x, 1), strips.pad(cotangent, 0)

    def compute(pixels: Array, gradients: Array) -> Array:
        return multiply_tiles(transform_input(pixels), transform_gradient(gradients))

    if strips.number == 1:
        return transform_kernel_back(compute(padded, gradients))

    def add(total: Array, number: Array) -> tuple[Array, None]:
        part = compute(strips.cut(padded, number, 1), strips.cut(gradients, number, 0))
        return total + part, None

    zeros = jnp.zeros((SIDE**2, x.shape[3], cotangent.shape[3]), x.dtype)
    total, *_ = vary_equally((zeros, padded, gradients))
    return transform_kernel_back(lax.scan(add, total, jnp.arange(strips.number))[0])


def multiply(
    tiles: Float[Array, '36 m c'], factors: Float[Array, '36 c o']
) -> Float[Array, '36 m o']:
    """Returns the products of tiles and a kernel at each place."""
    return lax.dot_general(tiles, factors, (((2,), (1,)), ((0,), (0,))))


def multiply_tiles(
    tiles: Float[Array, '36 m c'], gradients: Float[Array, '36 m o']
) -> Float[Array, '36 c o']:
    """Returns the gradient of the factors of `multiply`."""
    return lax.dot_general(tiles, gradients, (((1,), (1,)), ((0,), (0,))))


def transform_kernel(kernel: Float[Array, '3 3 c o']) -> Float[Array, '36 c o']:
    """Returns a kernel by the 36 places of a tile, column by column."""
    taps = kernel.reshape(9, -1)
    places = jnp.matmul(_OF_TAPS.astype(kernel.dtype), taps, precision=lax.Precision.HIGHEST)
    return places.reshape(SIDE**2, *kernel.shape[2:])


def transform_kernel_back(places: Float[Array, '36 c o']) -> Float[Array, '3 3 c o']:
    """Returns the gradient of a kernel, of that of what `transform_kernel` returns."""
    back = _OF_TAPS.T.astype(places.dtype)
    taps = jnp.matmul(back, places.reshape(SIDE**2, -1), precision=lax.Precision.HIGHEST)
    return taps.reshape(3, 3, *places.shape[1:])


def transform_input(padded: Float[Array, 'n h w c']) -> Float[Array, '36 m c']:
    """Returns images by the 36 places of their tiles, which reach over these by one pixel."""
    down, across = (side // TILE * TILE for side in padded.shape[1:3])
    rows = _combine(INPUT, [padded[:, i : i + down - 3 : TILE] for i in range(SIDE)])
    columns = [rows[:, :, :, i : i + across - 3 : TILE] for i in range(SIDE)]
    return _combine(INPUT, columns).reshape(SIDE**2, -1, padded.shape[3])


def transform_output(
    places: Float[Array, '36 m o'], n: int, across: int
) -> Float[Array, 'n h w o']:
    """Returns the pixels of n images, of so many tiles across."""
    features = places.shape[2]
    places = places.reshape(SIDE, SIDE, n, -1, across, features)
    columns = _combine(OUTPUT, list(places))
    pixels = _combine(OUTPUT, [columns[:, i] for i in range(SIDE)])
    whole = pixels.transpose(2, 3, 0, 4, 1, 5)
    return whole.reshape(n, -1, across * TILE, features)


def transform_gradient(gradients: Float[Array, 'n h w o']) -> Float[Array, '36 m o']:
    """Returns the gradient of places, of that of what `transform_output` returns."""
    rows = _combine(OUTPUT.T, [gradients[:, i::TILE] for i in range(TILE)])
    columns = _combine(OUTPUT.T, [rows[:, :, :, i::TILE] for i in range(TILE)])
    return columns.reshape(SIDE**2, -1, gradients.shape[3])


def _combine(matrix: np.ndarray, parts: Sequence[Array]) -> Array:
    """Returns the products of a small matrix and parts.

    The barrier keeps two of them, one after the other, from being computed as one, of which each
    number would take 36 products in place of 12.
    """
    return lax.optimization_barrier(jnp.stack(combine(matrix, parts)))
