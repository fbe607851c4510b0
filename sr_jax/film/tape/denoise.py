"""Noise that differs from frame to frame: averaged over time where nothing moves.

A recursive filter that heeds motion (Dubois and Sabri 1984). With p the result of the frame before,
x the frame, m the mean of (x - p)^2 over 5 x 5 pixels and s the noise's standard deviation,

    result = x + k (p - x),   k = K clip((6 s^2 - m) / (4 s^2), 0, 1),   K = 0.8

so k is K where the frames differ as noise does (m up to 2 s^2), and 0 where more has changed. On
what stands still the noise becomes (1 - K) / (1 + K) = 1/9 of its variance. Chroma's k is that of
its own change and noise, or luma's where that is less.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from sr_jax.film.tape.filters import box

KEEP = 0.8
PART = 8  # pixels a side of the parts that noise is measured in
QUIET = 0.25  # the share of parts that are taken to hold noise alone
LEAST = 0.25 / 255  # what is less is rounding


def measure_noise(frames: Float[Array, 't h w 3']) -> tuple[float, float]:
    """Returns the standard deviations of luma's and chroma's noise; 0 where nothing differs.

    The difference of two frames holds the noise of both, and what moves. In parts of 8 x 8 pixels
    its variance is taken, and of all those, in all pairs of frames that are not the same, the value
    that a quarter lie below: in few films more than three quarters move at once.

    Args:
      frames: luma and chroma, consecutive; at least 2, and a part high and wide.
    """
    if len(frames) < 2 or min(frames.shape[1:3]) < PART:
        return 0.0, 0.0
    variances = np.asarray(_variances(frames))
    other = variances[variances.mean(axis=(1, 2, 3)) > LEAST**2 / 4]
    if not len(other):
        return 0.0, 0.0
    found = np.sqrt(np.quantile(other.reshape(-1, 2), QUIET, axis=0) / 2)
    luma, chroma = np.where(found < LEAST, 0.0, found)
    return float(luma), float(chroma)


def denoise(
    frames: Float[Array, 't h w 3'], before: Float[Array, 'h w 3'], noise: tuple[float, float]
) -> tuple[Float[Array, 't h w 3'], Float[Array, 'h w 3']]:
    """Returns the frames with less noise, and the last of them, which the next ones begin with.

    Args:
      frames: luma and chroma.
      before: the result of the frame before; at the film's beginning its first frame.
      noise: standard deviations of luma and chroma.
    """

    def step(last: Array, frame: Array) -> tuple[Array, Array]:
        change = last - frame
        square = jnp.stack([change[..., 0] ** 2, (change[..., 1:] ** 2).mean(-1)], axis=-1)
        luma, chroma = (_still(box(square[..., i], 2, (0, 1)), noise[i]) for i in range(2))
        chroma = jnp.minimum(luma, chroma)
        result = frame + KEEP * jnp.stack([luma, chroma, chroma], axis=-1) * change
        return result, result

    last, results = lax.scan(step, before, frames)
    return results, last


def _still(change: Float[Array, 'h w'], noise: float) -> Float[Array, 'h w']:
    """Returns in [0, 1] how far a mean squared change is explained by noise."""
    variance = max(noise, 1e-6) ** 2
    return jnp.clip((6 * variance - change) / (4 * variance), 0.0, 1.0)


@jax.jit
def _variances(frames: Float[Array, 't h w 3']) -> Float[Array, 'pairs rows columns 2']:
    """Returns the variances of frames' differences in parts, of luma and of chroma."""
    rows, columns = (side // PART for side in frames.shape[1:3])
    change = jnp.diff(frames[:, : rows * PART, : columns * PART], axis=0)
    parts = change.reshape(len(change), rows, PART, columns, PART, 3)
    variance = parts.var(axis=(2, 4))
    return jnp.stack([variance[..., 0], variance[..., 1:].mean(-1)], axis=-1)
