"""Small filters that several steps share."""

import math

from jaxtyping import Array, Float

from sr_jax.film.chroma import apply_taps


def box(x: Float[Array, '*shape'], radius: int, axes: tuple[int, int]) -> Float[Array, '*shape']:
    """Returns the means of squares of 2 * radius + 1 samples a side; the edge is repeated."""
    side = 2 * radius + 1
    taps = dict.fromkeys(range(-radius, radius + 1), 1 / side)
    for axis in axes:
        x = apply_taps(x, axis, taps)
    return x


def gauss(x: Float[Array, '*shape'], sigma: float, axis: int) -> Float[Array, '*shape']:
    """Blurs along one axis by a Gaussian of this standard deviation; the edge is repeated."""
    reach = math.ceil(3 * sigma)
    taps = {tap: math.exp(-((tap / sigma) ** 2) / 2) for tap in range(-reach, reach + 1)}
    total = sum(taps.values())
    return apply_taps(x, axis, {tap: weight / total for tap, weight in taps.items()})
