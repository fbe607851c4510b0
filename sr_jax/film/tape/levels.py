"""Black and white of a recording, stretched to where they belong.

A film is not its own test card: a dark one may show no white. So levels are the darkest and the
brightest of all frames looked at, away from the edges, and are changed only within what recorders
and players get wrong: black up to 10% too high or low (7.5% is NTSC's pedestal), and contrast by a
quarter. What is further off is taken for the film's own.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from sr_jax.film.tape.filters import box

EDGE = 1 / 20  # of the sides, left out on each
OUTSIDE = 0.1  # per cent of the pixels beyond either level
MAX_BLACK = 0.1
MAX_GAIN = 1.25
LEAST = 0.01  # differences below it are left


def find_levels(frames: Float[Array, 't h w 3']) -> tuple[float, float]:
    """Returns luma's black and white, as they are in these frames.

    Luma is averaged over 3 x 3 pixels, so that noise does not widen it; black is what 0.1% of the
    pixels of a frame lie below, in the darkest frame, and white likewise.

    Args:
      frames: luma and chroma.
    """
    black, white = _quantiles(frames)
    return float(black), float(white)


def correction(black: float, white: float) -> tuple[float, float]:
    """Returns (gain, offset) with which gain * (x - offset) is right, within what is allowed."""
    offset = black if LEAST < abs(black) <= MAX_BLACK else 0.0
    gain = 1 / max(white - offset, 0.1)
    return gain if LEAST < abs(gain - 1) <= MAX_GAIN - 1 else 1.0, offset


def stretch(
    frames: Float[Array, 't h w 3'], gain: float, offset: float
) -> Float[Array, 't h w 3']:
    """Returns the frames at other levels; chroma, amplified with luma, by the same gain."""
    black = jnp.array([offset, 0, 0], jnp.float32).reshape(1, 1, 1, 3)
    return gain * (frames - black)


@jax.jit
def _quantiles(frames: Float[Array, 't h w 3']) -> Float[Array, '2']:
    top, left = (int(side * EDGE) for side in frames.shape[1:3])
    inner = frames[:, top : frames.shape[1] - top, left : frames.shape[2] - left, 0]
    luma = box(inner, 1, (1, 2)).reshape(len(frames), -1)
    levels = jnp.percentile(luma, jnp.array([OUTSIDE, 100 - OUTSIDE]), axis=1)
    return jnp.stack([levels[0].min(), levels[1].max()])
