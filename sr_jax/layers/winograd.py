"""Which 3 x 3 convolutions are computed by fewer products, by Winograd's minimal filtering.

In float32 by a quarter of them, with their gradients (`winograd_2d`). In bfloat16, where products
take less, by half (`winograd_1d`).
"""

import contextlib
import contextvars
import math
from collections.abc import Iterator
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from sr_jax.kernels.mesh_axes import explicit_axes  # type: ignore[import-not-found]
from sr_jax.layers import winograd_1d, winograd_2d
from sr_jax.layers.repeated import count_rounds
from sr_jax.layers.toom_cook import TILE


class Worth(NamedTuple):
    """The least for which transforms, which take time by channel, are made up for by products.

    Attributes:
      channels: given, and made.
      connections: channels given times channels made.
      pixels: of all images.
      of_each: pixels of each image.
    """

    channels: int
    connections: int
    pixels: int
    of_each: int = 1


WORTH = {'float32': Worth(32, 32**2, 24**2), 'bfloat16': Worth(32, 32 * 64, 96**2, 96**2)}
WASTE = 1.5  # most pixels of whole tiles for each pixel of an image


class Asked(NamedTuple):
    """What `fewer_products` was given."""

    devices: int = 0
    least: float = 0
    dtypes: tuple[str, ...] = ()


_NOTHING = Asked()
# Set while a network is traced, so each thread has its own.
_asked: contextvars.ContextVar[Asked] = contextvars.ContextVar('winograd', default=_NOTHING)


@contextlib.contextmanager
def fewer_products(
    devices: int, least: float = 0, dtypes: tuple[str, ...] = tuple(WORTH)
) -> Iterator[None]:
    """Within it networks convolve so where it is quicker on CPUs.

    In bfloat16 that is with oneDNN only (`sr_jax.devices.compiling`), and without gradients.

    Args:
      devices: over which images are split; 0: networks convolve as elsewhere.
      least: pixels times connections, of all rounds of a loop, from which on a convolution is worth
        what it is compiled longer.
      dtypes: names of the types in which they do so.
    """
    token = _asked.set(Asked(devices, least, dtypes))
    try:
        yield
    finally:
        _asked.reset(token)


def serving_devices(
    x: Float[Array, 'n h w c'], kernel: Float[Array, 'k l c o'], stride: int
) -> int:
    """The devices that were said, if a convolution is one that it makes quicker, or else 0."""
    if not _asked.get().devices or stride != 1 or kernel.shape[:2] != (3, 3):
        return 0  # elsewhere the sides need not be known
    if x.dtype != kernel.dtype or explicit_axes(kernel):
        return 0
    given, made = kernel.shape[2:]
    return serving_devices_of(x, min(given, made), given * made)


def serving_devices_of(x: Float[Array, 'n h w _'], channels: int, connections: int) -> int:
    """The same of 3 x 3 convolutions of x, by the fewest channels of one and all connections."""
    asked, worth = _asked.get(), WORTH.get(x.dtype.name)
    if not asked.devices or worth is None or x.dtype.name not in asked.dtypes:
        return 0
    if explicit_axes(x):
        return 0  # JAX asks where each of the transforms is to lie
    pixels = math.prod(x.shape[:3])
    of_tiles = math.prod(winograd_2d.count_tiles(side) * TILE for side in x.shape[1:3])
    quicker = (
        channels >= worth.channels
        and connections >= worth.connections
        and pixels >= worth.pixels
        and pixels >= worth.of_each * len(x)
        and of_tiles * len(x) <= WASTE * pixels
        and count_rounds() * pixels * connections >= asked.least
    )
    return asked.devices if quicker else 0


def apply(
    x: Float[Array, 'n h w c'], kernel: Float[Array, '3 3 c o'], devices: int
) -> Float[Array, 'n h w o']:
    """Returns the cross-correlation of x with a kernel, a zero around x, in the way of its type."""
    if x.dtype == jnp.bfloat16:
        return winograd_1d.convolve(x, kernel)
    return winograd_2d.convolve(x, kernel, devices)
