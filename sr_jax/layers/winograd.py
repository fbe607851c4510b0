"""3 x 3 convolutions by a quarter of the products: F(4 x 4, 3 x 3).

Winograd's minimal filtering, after Lavin and Gray 2015, "Fast Algorithms for Convolutional Neural
Networks" (arXiv:1509.09308), section 4.1: tiles of 6 x 6 pixels, which overlap by 2, and kernels go
to where a convolution is 36 products, and tiles of 4 x 4 pixels come back. They interpolate at 0,
+-1/sqrt(2), +-sqrt(2) and infinity, where the article has +-1 and +-2: the error in float32 is a
fifth of theirs, about that of a plain convolution (points were compared by Barabasz et al. 2020,
arXiv:1803.10986).

Rows of tiles are computed one strip after another, so that what is transformed stays in the cache.
"""

import contextlib
import contextvars
from collections.abc import Iterator, Sequence

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

TILE = 4
SIDE = TILE + 2
POINTS = (0.0, 0.5**0.5, -(0.5**0.5), 2**0.5, -(2**0.5))
# Numbers of a strip at each of a tile's 36 places, on each device: more would leave a core's cache.
STRIP = 2**13
MIN_CHANNELS = 16  # given and made: the transforms take time by channel, the products by both
MIN_PIXELS = 24**2

# Set while a network is traced, so each thread has its own.
_devices: contextvars.ContextVar[int] = contextvars.ContextVar('winograd', default=0)


@contextlib.contextmanager
def fewer_products(devices: int) -> Iterator[None]:
    """Within it networks convolve so where it is quicker on CPUs in float32.

    Args:
      devices: over which images are split; 0: networks convolve as elsewhere.
    """
    token = _devices.set(devices)
    try:
        yield
    finally:
        _devices.reset(token)


def serving_devices(
    x: Float[Array, 'n h w c'], kernel: Float[Array, 'k l c o'], stride: int
) -> int:
    """The devices that were said, if a convolution is one that it makes quicker, or else 0."""
    devices = _devices.get()
    quicker = devices and (  # elsewhere the sides need not be known
        stride == 1
        and kernel.shape[:2] == (3, 3)
        and x.dtype == kernel.dtype == jnp.float32
        and min(kernel.shape[2:]) >= MIN_CHANNELS
        and x.shape[1] * x.shape[2] >= MIN_PIXELS
    )
    return devices if quicker else 0


def convolve(
    x: Float[Array, 'n h w c'],
    kernel: Float[Array, '3 3 c o'],
    devices: int = 1,
    strip: int = STRIP,
) -> Float[Array, 'n h w o']:
    """Returns the cross-correlation of x with a kernel, a zero around x.

    Args:
      x: images or features.
      kernel: of 3 x 3 taps.
      devices: over which the images are split.
      strip: most tiles computed at a time on each, times their channels.
    """
    n, height, width, channels = x.shape
    down, across = -(-height // TILE), -(-width // TILE)
    strips = -(-down // max(strip * devices // (n * across * channels), 1))
    rows = -(-down // strips)  # of tiles in a strip
    shape = (n, rows * TILE + 2, across * TILE + 2, channels)
    after = (strips * rows * TILE + 1 - height, across * TILE + 1 - width)
    padded = lax.optimization_barrier(
        jnp.pad(x, ((0, 0), *((1, more) for more in after), (0, 0)))
    )
    factors = transform_kernel(kernel)

    def compute(made: Array, number: Array) -> tuple[Array, None]:
        first = (0, number * rows * TILE, 0, 0)
        tiles = _transform_input(lax.dynamic_slice(padded, first, shape))
        products = lax.dot_general(
            tiles.reshape(SIDE**2, -1, channels), factors, (((2,), (1,)), ((0,), (0,)))
        )
        pixels = _transform_output(products.reshape(SIDE, SIDE, n, rows, across, -1))
        return lax.dynamic_update_slice(made, pixels, first), None

    # All of it is written. Made of what is kept, XLA makes it after what is not kept was freed.
    whole = (n, strips * rows * TILE, across * TILE, kernel.shape[3])
    blank = jnp.broadcast_to(padded[:, 1:2, 1:2, :1], whole)
    return lax.scan(compute, blank, jnp.arange(strips))[0][:, :height, :width]


def transform_kernel(kernel: Float[Array, '3 3 c o']) -> Float[Array, '36 c o']:
    """Returns a kernel by the 36 places of a tile, column by column."""
    matrix = jnp.asarray(_KERNEL, kernel.dtype)
    places = jnp.einsum('ai,bj,ijco->baco', matrix, matrix, kernel)
    return places.reshape(SIDE**2, *kernel.shape[2:])


def _transform_input(x: Float[Array, 'n h w c']) -> Float[Array, '6 6 n down across c']:
    down, across = (side // TILE * TILE for side in x.shape[1:3])
    rows = _combine(_INPUT, [x[:, i : i + down - 3 : TILE] for i in range(SIDE)])
    return _combine(_INPUT, [rows[:, :, :, i : i + across - 3 : TILE] for i in range(SIDE)])


def _transform_output(products: Float[Array, '6 6 n down across o']) -> Float[Array, 'n h w o']:
    columns = _combine(_OUTPUT, list(products))
    pixels = _combine(_OUTPUT, [columns[:, i] for i in range(SIDE)])
    n, down, across, features = pixels.shape[2:]
    whole = pixels.transpose(2, 3, 0, 4, 1, 5)
    return whole.reshape(n, down * TILE, across * TILE, features)


def _combine(matrix: np.ndarray, parts: Sequence[Array]) -> Array:
    """Returns the products of a small matrix and parts, written out without those with 0.

    The barrier keeps two of them, one after the other, from being computed as one, of which each
    number would take 36 products in place of 12.
    """
    made = []
    for row in matrix:
        terms = [part * float(factor) for factor, part in zip(row, parts, strict=True) if factor]
        made.append(sum(terms[1:], terms[0]))
    return lax.optimization_barrier(jnp.stack(made))


def _make_matrices() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns what transforms input, kernel and output along a side: Toom and Cook's polynomials.

    Rows of the first are made as large as others by powers of 2, which the second's divide by.
    """
    others = [[b for b in POINTS if b != a] for a in POINTS]
    of_input = np.zeros((SIDE, SIDE))
    for row, roots in zip(of_input, others, strict=False):
        row[: SIDE - 1] = np.poly(roots)[::-1]
    of_input[-1] = np.poly(POINTS)[::-1]
    of_input[np.abs(of_input) < 1e-12] = 0
    powers = np.power.outer(np.array(POINTS), np.arange(TILE))
    scales = [np.prod([a - b for b in roots]) for a, roots in zip(POINTS, others, strict=True)]
    of_kernel = np.vstack([powers[:, :3] / np.array(scales)[:, None], [0, 0, 1]])
    of_output = np.hstack([powers.T, np.eye(TILE)[:, -1:]])
    largest = 2 ** np.round(np.log2(np.abs(of_input).max(axis=1, keepdims=True)))
    return of_input / largest, of_kernel * largest, of_output


_INPUT, _KERNEL, _OUTPUT = _make_matrices()
