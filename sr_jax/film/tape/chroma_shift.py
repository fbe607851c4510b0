"""Chroma that lies beside its luma, since the two go different ways through a recorder.

Where a small part of a picture shows an edge, chroma is near a multiple of luma. So chroma is moved
until luma's slopes explain most of its own: over parts b, and both chromas c,

    score(shift) = sum (sum_b y' c'(shift))^2 / sum_b y'^2  /  sum c'^2

which lies in [0, 1], for any mixture of edges, of whatever sign. The best whole shift is refined by
a parabola. It is a local least-squares fit, as in the local cross-correlation by which pictures of
different kinds are aligned.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sr_jax.film.chroma import apply_taps, interpolation_taps
from sr_jax.film.tape.filters import gauss

REACH = {1: 4, 2: 12}  # pixels to look, by axis: down and across
BLUR = {1: 1.0, 2: 2.0}  # tapes hold far less chroma than luma; so much is left of both
PART = (12, 24)  # rows and columns of a part
MIN_PEAK = 1.3  # times the median of the scores; noise alone gives 1.15
MIN_SHIFT = 0.75  # pixels; small parts of photographs give up to half a one


def find_shift(frames: Float[Array, 't h w 3']) -> tuple[float, float]:
    """Returns how far down and right of its luma chroma lies, in pixels; 0 where unknown.

    Args:
      frames: luma and chroma, at least 2 parts high and wide.
    """
    if frames.shape[1] < 2 * PART[0] or frames.shape[2] < 2 * PART[1]:
        return 0.0, 0.0
    across = _find_along(frames, 2)
    down = _find_along(move_chroma(frames, (0.0, -across)), 1)
    across = _find_along(move_chroma(frames, (-down, 0.0)), 2)
    return _drop_small(down), _drop_small(across)


@functools.partial(jax.jit, static_argnames='shift')
def move_chroma(
    frames: Float[Array, 't h w 3'], shift: tuple[float, float]
) -> Float[Array, 't h w 3']:
    """Moves chroma down and right by fractions of pixels, by cubic interpolation."""
    chroma = frames[..., 1:]
    for axis, distance in zip((1, 2), shift, strict=True):
        if distance:
            chroma = apply_taps(chroma, axis, interpolation_taps(-distance))
    return jnp.concatenate([frames[..., :1], chroma], axis=-1)


def _drop_small(shift: float) -> float:
    return shift if abs(shift) >= MIN_SHIFT else 0.0


def _find_along(frames: Float[Array, 't h w 3'], axis: int) -> float:
    reach = REACH[axis]
    scores = np.asarray(_scores(frames, axis))
    best = int(scores.argmax())
    if scores[best] < MIN_PEAK * np.median(scores) or best in (0, 2 * reach):
        return 0.0
    before, peak, after = scores[best - 1 : best + 2]
    return best - reach + float((after - before) / (2 * (2 * peak - before - after)))


@functools.partial(jax.jit, static_argnames='axis')
def _scores(frames: Float[Array, 't h w 3'], axis: int) -> Float[Array, 'shifts']:
    reach = REACH[axis]
    slopes = jnp.diff(gauss(frames, BLUR[axis], axis), axis=axis)
    length = slopes.shape[axis] - 2 * reach
    luma = jax.lax.slice_in_dim(slopes[..., :1], reach, reach + length, axis=axis)
    energy = _sum_parts(luma**2) + 1e-6

    def score(start: Array) -> Array:
        chroma = jax.lax.dynamic_slice_in_dim(slopes[..., 1:], start, length, axis=axis)
        explained = _sum_parts(luma * chroma) ** 2 / energy
        return explained.sum() / (_sum_parts(chroma**2).sum() + 1e-6)

    return jax.lax.map(score, jnp.arange(2 * reach + 1))


def _sum_parts(x: Float[Array, 't h w c']) -> Float[Array, 't rows columns c']:
    """Adds up within parts; what is left over at the right and below is left out."""
    rows, columns = (side // part for side, part in zip(x.shape[1:3], PART, strict=True))
    x = x[:, : rows * PART[0], : columns * PART[1]]
    return x.reshape(len(x), rows, PART[0], columns, PART[1], -1).sum((2, 4))
