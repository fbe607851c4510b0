"""3 x 3 convolutions by a quarter of the products: F(4 x 4, 3 x 3).

Winograd's minimal filtering along both sides (`toom_cook`): tiles of 6 x 6 pixels, which overlap by
2, and kernels go to where a convolution is 36 products, and tiles of 4 x 4 pixels come back. In
bfloat16, where products take less, along one side: `winograd_1d`.

Rows of tiles are computed one strip after another, so that what is transformed stays in the cache;
those of small images at once.
"""

import contextlib
import contextvars
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from sr_jax.layers import winograd_1d
from sr_jax.layers.repeated import count_rounds
from sr_jax.layers.toom_cook import INPUT, KERNEL, OUTPUT, SIDE, TILE, combine

# Numbers of a strip at each of a tile's 36 places, on each device: more would leave a core's cache.
STRIP = 2**13
WHOLE = 2**17  # of so many at most, all rows are computed at once, which two threads do sooner


class Worth(NamedTuple):
    """The least for which transforms, which take time by channel, are made up for by products.

    Attributes:
      channels: given, and made.
      connections: channels given times channels made.
      pixels: of an image.
    """

    channels: int
    connections: int
    pixels: int


WORTH = {'float32': Worth(16, 16**2, 24**2), 'bfloat16': Worth(32, 32 * 64, 96**2)}

# Of each of 36 places, the part of each of 9 taps.
_OF_TAPS = np.einsum('ai,bj->baij', KERNEL, KERNEL).reshape(SIDE**2, 9)

# Devices and the least work. Set while a network is traced, so each thread has its own.
_asked: contextvars.ContextVar[tuple[int, float]] = contextvars.ContextVar(
    'winograd', default=(0, 0)
)


@contextlib.contextmanager
def fewer_products(devices: int, least: float = 0) -> Iterator[None]:
    """Within it networks convolve so where it is quicker on CPUs.

    In bfloat16 that is with oneDNN only (`sr_jax.devices.compiling`).

    Args:
      devices: over which images are split; 0: networks convolve as elsewhere.
      least: pixels times connections, of all rounds of a loop, from which on a convolution is worth
        what it is compiled longer.
    """
    token = _asked.set((devices, least))
    try:
        yield
    finally:
        _asked.reset(token)


def serving_devices(
    x: Float[Array, 'n h w c'], kernel: Float[Array, 'k l c o'], stride: int
) -> int:
    """The devices that were said, if a convolution is one that it makes quicker, or else 0."""
    devices, least = _asked.get()
    worth = WORTH.get(x.dtype.name)
    if not devices or worth is None or x.dtype != kernel.dtype:
        return 0  # elsewhere the sides need not be known
    given, made = kernel.shape[2:]
    quicker = (
        stride == 1
        and kernel.shape[:2] == (3, 3)
        and min(given, made) >= worth.channels
        and given * made >= worth.connections
        and x.shape[1] * x.shape[2] >= worth.pixels
        and count_rounds() * math.prod(x.shape[:3]) * given * made >= least
    )
    return devices if quicker else 0


def apply(
    x: Float[Array, 'n h w c'], kernel: Float[Array, '3 3 c o'], devices: int
) -> Float[Array, 'n h w o']:
    """Returns the cross-correlation of x with a kernel, a zero around x, in the way of its type."""
    if x.dtype == jnp.bfloat16:
        return winograd_1d.convolve(x, kernel)
    return convolve(x, kernel, devices)


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
    features = kernel.shape[3]
    down, across = -(-height // TILE), -(-width // TILE)
    a_row = n * across * channels
    strips = -(-down // max(strip * devices // a_row, 1)) if down * a_row > whole * devices else 1
    rows = -(-down // strips)  # of tiles in a strip
    after = (strips * rows * TILE + 1 - height, across * TILE + 1 - width)
    padded = lax.optimization_barrier(
        jnp.pad(x, ((0, 0), *((1, more) for more in after), (0, 0)))
    )
    factors = transform_kernel(kernel)

    def compute(part: Array) -> Array:
        tiles = _transform_input(part).reshape(SIDE**2, -1, channels)
        products = lax.dot_general(tiles, factors, (((2,), (1,)), ((0,), (0,))))
        return _transform_output(products.reshape(SIDE, SIDE, n, rows, across, features))

    if strips == 1:
        return compute(padded)[:, :height, :width]

    def compute_strip(made: Array, number: Array) -> tuple[Array, None]:
        first = (0, number * rows * TILE, 0, 0)
        shape = (n, rows * TILE + 2, across * TILE + 2, channels)
        pixels = compute(lax.dynamic_slice(padded, first, shape))
        return lax.dynamic_update_slice(made, pixels, first), None

    # All of it is written. Made of what is kept, XLA makes it after what is not kept was freed.
    sides = (n, strips * rows * TILE, across * TILE, features)
    blank = jnp.broadcast_to(padded[:, 1:2, 1:2, :1], sides)
    return lax.scan(compute_strip, blank, jnp.arange(strips))[0][:, :height, :width]


def transform_kernel(kernel: Float[Array, '3 3 c o']) -> Float[Array, '36 c o']:
    """Returns a kernel by the 36 places of a tile, column by column."""
    taps = kernel.reshape(9, -1)
    places = jnp.matmul(_OF_TAPS.astype(kernel.dtype), taps, precision=lax.Precision.HIGHEST)
    return places.reshape(SIDE**2, *kernel.shape[2:])


def _transform_input(x: Float[Array, 'n h w c']) -> Float[Array, '6 6 n down across c']:
    down, across = (side // TILE * TILE for side in x.shape[1:3])
    rows = _combine(INPUT, [x[:, i : i + down - 3 : TILE] for i in range(SIDE)])
    return _combine(INPUT, [rows[:, :, :, i : i + across - 3 : TILE] for i in range(SIDE)])


def _transform_output(products: Float[Array, '6 6 n down across o']) -> Float[Array, 'n h w o']:
    columns = _combine(OUTPUT, list(products))
    pixels = _combine(OUTPUT, [columns[:, i] for i in range(SIDE)])
    n, down, across, features = pixels.shape[2:]
    whole = pixels.transpose(2, 3, 0, 4, 1, 5)
    return whole.reshape(n, down * TILE, across * TILE, features)


def _combine(matrix: np.ndarray, parts: Sequence[Array]) -> Array:
    """Returns the products of a small matrix and parts.

    The barrier keeps two of them, one after the other, from being computed as one, of which each
    number would take 36 products in place of 12.
    """
    return lax.optimization_barrier(jnp.stack(combine(matrix, parts)))
