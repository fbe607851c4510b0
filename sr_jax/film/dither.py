"""Rounding to whole numbers that keeps the mean of every neighborhood."""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

# Floyd and Steinberg, An adaptive algorithm for spatial gray scale, 1976: what of the error goes
# to the right, and to the next row's pixels at the left, below and at the right.
RIGHT, LEFT_BELOW, BELOW, RIGHT_BELOW = 7 / 16, 3 / 16, 5 / 16, 1 / 16


def diffuse_error(x: Float[Array, 'n h w'], most: int) -> Float[Array, 'n h w']:
    """Rounds to whole numbers from 0 to `most` by error diffusion, rows from left to right.

    A pixel depends on its neighbor at the left and three above it, so that all those with the same
    column + 2 * row are free of each other: they are done at once, in w + 2 (h - 1) steps. The
    result depends on the frame alone, so what stands still does not flicker. What leaves the range
    is clipped before, so that no error piles up.
    """
    n, height, width = x.shape
    steps = width + 2 * (height - 1)
    slanted = _slant(jnp.clip(x, 0.0, most), steps)
    first_steps = 2 * jnp.arange(height)

    def step(errors: tuple, inputs: tuple[Array, Array]) -> tuple[tuple, Array]:
        last, second, third = errors  # of the three steps before, by frame and row
        number, values = inputs
        values += RIGHT * last
        values += RIGHT_BELOW * _down(third) + BELOW * _down(second) + LEFT_BELOW * _down(last)
        rounded = jnp.clip(jnp.round(values), 0.0, most)
        column = number - first_steps
        inside = (column >= 0) & (column < width)
        error = jnp.where(inside[None], values - rounded, 0.0)
        return (error, last, second), rounded

    start = (jnp.zeros((n, height), x.dtype),) * 3
    _, rounded = lax.scan(step, start, (jnp.arange(steps), slanted))
    return _straighten(rounded, width)


def _down(errors: Float[Array, 'n h']) -> Float[Array, 'n h']:
    """Hands each row's errors to the next row."""
    return jnp.pad(errors[:, :-1], ((0, 0), (1, 0)))


def _slant(x: Float[Array, 'n h w'], steps: int) -> Float[Array, 'steps n h']:
    """Moves each row two pixels further than the one above it, zeros around."""
    n, height, width = x.shape
    x = jnp.pad(x, ((0, 0), (0, 0), (0, steps + 2 - width))).reshape(n, -1)
    return x[:, : height * steps].reshape(n, height, steps).transpose(2, 0, 1)


def _straighten(x: Float[Array, 'steps n h'], width: int) -> Float[Array, 'n h w']:
    steps, n, height = x.shape
    x = jnp.pad(x.transpose(1, 2, 0).reshape(n, -1), ((0, 0), (0, 2 * height)))
    return x.reshape(n, height, steps + 2)[:, :, :width]
