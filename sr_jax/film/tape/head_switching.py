"""Lines at the bottom of the picture where the video heads change over.

A recorder's drum switches heads a few lines before a field ends. From there on lines are displaced
sideways, and noisy; a television hid them beyond its edge.

Each line is compared with the one two above it, of its field, as it is and moved sideways. The
switch is where, against the three lines above, the two suddenly differ more and a move makes up for
it, or where from there down all differ far more. Of 84 crops of photographs one was taken for one;
of 336 with 5 or 7 lines displaced by 4 to 15 pixels, half of them noisy besides, 85% were counted
to a line, and most others, of soft scenes, not at all. Several clips of a film settle it.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sr_jax.film.tape.filters import gauss

ZONE = 1 / 20  # of the height: the most that is looked at and cropped
MIN_LINES = 4  # what is less belongs to the scene
REACH = 24  # pixels that a line may be displaced by
MIN_REACH = 2  # and at least
BLUR = 0.6  # pixels along a line, so that fine noise does not hide a displacement
FLOOR = 4 / 255  # differences below it show nothing
JUMP, MADE_UP = 1.4, 0.75  # of a displaced line: its difference, and what a move leaves of it
NOISE = 1.6  # of lines of noise: their difference
SHARE = 0.4  # of the frames that must show it


def count_lines(frames: Float[Array, 't h w 3']) -> int:
    """Returns how many lines at the bottom are from after the switch, an even number.

    Args:
      frames: luma and chroma; of less than 80 lines, or 100 pixels across, none are counted.
    """
    height, width = frames.shape[1:3]
    zone = int(height * ZONE)
    if zone < MIN_LINES or width < 4 * REACH:
        return 0
    differences = np.asarray(_differences(frames[:, -2 * zone - 2 :, :, 0]))
    still = differences[REACH]
    moved = np.delete(differences, np.s_[REACH - MIN_REACH + 1 : REACH + MIN_REACH], axis=0)
    left = _add_next(moved).min(axis=0) / (_add_next(still) + 1e-6)
    above = _look_above(still, np.max, 1)
    displaced = (still > JUMP * above) & (left < MADE_UP * _look_above(left, np.min, 2))
    below = np.cumsum(still[:, ::-1], axis=1)[:, ::-1] / np.arange(still.shape[1], 0, -1)
    noisy = np.minimum(still, below) > NOISE * above
    shown = ((still > FLOOR) & (displaced | noisy)).mean(axis=0)[-zone:] > SHARE
    lines = zone - int(shown.argmax()) if shown.any() else 0
    return -(-lines // 2) * 2 if MIN_LINES <= lines < zone else 0


def crop_lines(frames: Float[Array, 't h w 3'], lines: int) -> Float[Array, 't h2 w 3']:
    """Returns the frames without so many lines at the bottom."""
    return frames[:, : frames.shape[1] - lines]


@jax.jit
def _differences(luma: Float[Array, 't rows+2 w']) -> Float[Array, 'shifts t rows']:
    """Returns how much a line differs from that two above it, by how far it is moved sideways."""
    luma = gauss(luma, BLUR, 2)
    inner = luma[:, :-2, REACH:-REACH]

    def moved(shift: Array) -> Array:
        line = jax.lax.dynamic_slice_in_dim(luma[:, 2:], shift, inner.shape[2], axis=2)
        return jnp.abs(line - inner).mean(axis=2)

    return jax.lax.map(moved, jnp.arange(2 * REACH + 1))


def _add_next(x: Float[np.ndarray, '*n rows']) -> Float[np.ndarray, '*n rows']:
    """Adds the next row's value to each: both fields are displaced alike."""
    return x + np.concatenate([x[..., 1:], x[..., -1:]], axis=-1)


def _look_above(
    x: Float[np.ndarray, 't rows'], of: Callable[..., np.ndarray], first: int
) -> Float[np.ndarray, 't rows']:
    """Returns the maximum or minimum of three rows, of which the lowest is `first` above."""
    above = [np.roll(x, distance, axis=1) for distance in range(first, first + 3)]
    return of(np.stack(above), axis=0)
