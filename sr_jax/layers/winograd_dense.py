"""A dense block's 3 x 3 convolutions and gradients by a quarter of the products.

Each convolution takes x and what all before it made. By `winograd_2d.convolve` each of them would
transform all of that again: of RRDBNet's blocks 640 channels. Here each map is transformed once, as
it is made: 192 channels. The gradients of the maps are a dense block in the other direction, of
turned kernels, and those of all kernels one product of all maps and all gradients.
"""

import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jaxtyping import Array, Bool, Float

from sr_jax.kernels.mesh_axes import vary_equally  # type: ignore[import-not-found]
from sr_jax.layers import winograd, winograd_2d
from sr_jax.layers.correlation import turn_kernel
from sr_jax.layers.winograd_2d import Strips

Kernels = tuple[Float[Array, '3 3 _ _'], ...]
Biases = tuple[Float[Array, ' _'], ...]
# Side in pixels to which patches of a larger image are limited: all tiles of one are in memory.
PATCH = 160


def is_quicker(x: Float[Array, 'n h w c'], widths: Sequence[int]) -> bool:
    """Whether fewer products were asked for where they make a block that makes so many channels."""
    given = [x.shape[3] + sum(widths[:i]) for i in range(len(widths))]
    connections = sum(i * o for i, o in zip(given, widths, strict=True))
    channels = min(x.shape[3], *widths)
    in_float32 = x.dtype == jnp.float32  # what there is for bfloat16 gains little
    return in_float32 and winograd.serving_devices_of(x, channels, connections) > 0


def convolve_densely(
    x: Float[Array, 'n h w c'],
    kernels: Kernels,
    biases: Biases,
    slope: float,
    inside: Bool[Array, 'n h w 1'] | None = None,
) -> Float[Array, 'n h w o']:
    """Returns what the last convolution makes.

    Args:
      x: features.
      kernels: of x and of what all before made, behind one another in the channels.
      biases: of as many channels as each makes.
      slope: of the leaky ReLU behind each but the last.
      inside: where x is image; zeros are convolved elsewhere. None: everywhere.
    """
    x, kernels, biases = vary_equally((x, kernels, biases))
    if inside is not None:
        return _convolve(x, kernels, biases, slope, inside)[0]
    return _differentiable(x, kernels, biases, slope)


# Traced once for all blocks of the same shapes.
@functools.partial(jax.jit, static_argnums=3)
def _convolve(
    x: Array, kernels: Kernels, biases: Biases, slope: float, inside: Array | None
) -> tuple[Array, list[Array]]:
    """What the last one makes; x and what the others made."""

    def keep(y: Array) -> Array:
        maps.append(y if inside is None else jnp.where(inside, y, 0))
        return maps[-1]

    maps: list[Array] = []
    starts = _starts(x, kernels)
    factors = [
        jnp.split(winograd_2d.transform_kernel(kernel), starts[1 : i + 1], axis=1)
        for i, kernel in enumerate(kernels)
    ]

    def go_on(i: int, made: Array) -> Array:
        made = made + biases[i][None, None, None]
        return made if i == len(biases) - 1 else keep(nn.leaky_relu(made, slope))

    return _chain(keep(x), factors, go_on), maps


def _chain(
    x: Array, factors: Sequence[Sequence[Array]], go_on: Callable[[int, Array], Array]
) -> Array:
    """What is made at last, where each is made of all before it.

    Args:
      x: the first.
      factors: of each, those that multiply x and the others.
      go_on: what is to be transformed next, and returned at last, of the pixels that were made.
    """
    n, height, width, _ = x.shape
    strips = Strips(1, *(winograd_2d.count_tiles(side) for side in (height, width)))
    tiles = []
    for i, of_each in enumerate(factors):
        tiles.append(winograd_2d.transform_input(strips.pad(x, 1)))
        products = map(winograd_2d.multiply, tiles, of_each)
        pixels = winograd_2d.transform_output(
            functools.reduce(jnp.add, products), n, strips.across
        )
        x = go_on(i, pixels[:, :height, :width])
    return x


def _starts(x: Array, kernels: Kernels) -> np.ndarray:
    """Where the channels of x and of what each makes begin, and where those of the last one end."""
    return np.cumsum([0, x.shape[3], *(kernel.shape[3] for kernel in kernels)])


@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def _differentiable(x: Array, kernels: Kernels, biases: Biases, slope: float) -> Array:
    return _convolve(x, kernels, biases, slope, None)[0]


def _forward(
    x: Array, kernels: Kernels, biases: Biases, slope: float
) -> tuple[Array, tuple[list[Array], Kernels]]:
    made, maps = _convolve(x, kernels, biases, slope, None)
    return made, (maps, kernels)


def _backward(
    slope: float, residuals: tuple[list[Array], Kernels], cotangent: Array
) -> tuple[Array, Kernels, Biases]:
    return _gradients(*residuals, cotangent, slope)


@functools.partial(jax.jit, static_argnums=3)
def _gradients(
    maps: list[Array], kernels: Kernels, cotangent: Array, slope: float
) -> tuple[Array, Kernels, Biases]:
    """The gradients of x, kernels and biases.

    That of a map is made of those of all later ones, from the last one on, by turned kernels.
    """
    count = len(kernels)
    starts = _starts(maps[0], kernels)
    turned = [
        jnp.split(winograd_2d.transform_kernel(turn_kernel(kernel)), starts[1 : i + 1], axis=2)
        for i, kernel in enumerate(kernels)
    ]
    # Of the map that is i-th from behind, what the j-th convolution from behind makes of it.
    factors = [[turned[-1 - j][count - 1 - i] for j in range(i + 1)] for i in range(count)]
    cotangents = [cotangent]

    def go_on(i: int, gradient: Array) -> Array:
        if i == count - 1:
            return gradient  # of x, which no activation has made
        was_positive = maps[count - 1 - i] > 0
        cotangents.insert(0, jnp.where(was_positive, gradient, slope * gradient))
        return cotangents[0]

    gradient_x = _chain(cotangent, factors, go_on)
    all_cotangents = jnp.concatenate(cotangents, axis=-1)
    of_all = winograd_2d.kernel_gradient(
        jnp.concatenate(maps, axis=-1), all_cotangents, whole=all_cotangents.size
    )
    begins = starts - starts[1]  # of the channels that each convolution makes
    of_kernels = tuple(
        of_all[:, :, : starts[i + 1], begins[i + 1] : begins[i + 2]] for i in range(count)
    )
    sums = all_cotangents.sum(axis=(0, 1, 2))
    return gradient_x, of_kernels, tuple(jnp.split(sums, begins[2:-1]))


_differentiable.defvjp(_forward, _backward)
