"""Dots that crawl along colored edges and rainbows on fine stripes: a comb filter in time.

In composite video chroma rides on a carrier inside luma's band. What a decoder leaves of it in
luma are dots; fine stripes of luma that it takes for chroma are rainbows. The carrier comes back
with the opposite sign after one frame of NTSC, which has 119437.5 periods of it, and after two of
PAL, which has 177344.75 (ITU-R BT.1700). So where nothing moves, half the difference to that frame
is what was left, of either kind; of luma it is taken near the carrier's frequency alone. "Nothing
moves" means: the picture without the carrier is as it was then, and all of it as twice before.
"""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sr_jax.film.chroma import Taps, apply_taps
from sr_jax.film.tape.filters import box


class System(NamedTuple):
    """A color television system: MHz of the carrier, and frames until its sign is opposite."""

    carrier: float
    frames: int


SYSTEMS = {'ntsc': System(315 / 88, 1), 'pal': System(4.43361875, 2)}
SAMPLING = 13.5  # MHz, for a line of 720 pixels (ITU-R BT.601)
REACH = 6  # taps of the carrier's filter to either side
STILL, MOVING = 3 / 255, 8 / 255  # change: all is combed up to the one, from the other nothing


def frames_before(system: str) -> int:
    """Returns how many frames before those at hand `comb` looks at."""
    return 2 * SYSTEMS[system].frames


@functools.partial(jax.jit, static_argnames='system')
def comb(
    frames: Float[Array, 't h w 3'], before: Float[Array, 'k h w 3'], system: str
) -> Float[Array, 't h w 3']:
    """Returns the frames without dots and rainbows where nothing moves.

    Args:
      frames: luma and chroma, as captured, before any change of width.
      before: the `frames_before(system)` frames before, not combed; at the film's beginning its
        first frame, repeated.
      system: 'ntsc' or 'pal'.
    """
    count, delay = len(frames), SYSTEMS[system].frames
    film = jnp.concatenate([before, frames])
    opposite, same = film[delay : delay + count], film[:count]
    carrier = carrier_taps(SYSTEMS[system].carrier * 720 / SAMPLING / frames.shape[2])
    change = frames - opposite
    dots = apply_taps(change[..., 0], 2, carrier)
    rest = box(change[..., 0] - dots, 1, (1, 2))
    again = frames[..., 0] - same[..., 0]
    moving = box(jnp.maximum(jnp.abs(rest), jnp.abs(box(again, 1, (1, 2)))), 2, (1, 2))
    still = jnp.clip((MOVING - moving) / (MOVING - STILL), 0.0, 1.0)
    left = jnp.concatenate([dots[..., None], change[..., 1:]], axis=-1)
    return frames - still[..., None] / 2 * left


def carrier_taps(frequency: float) -> Taps:
    """Returns a filter that keeps a frequency, in periods a pixel, and takes away what is constant.

    A cosine under Hann's window, made to sum to 0 and to keep that frequency as it is.
    """
    distances = np.arange(-REACH, REACH + 1)
    window = 0.5 + 0.5 * np.cos(np.pi * distances / (REACH + 1))
    wave = np.cos(2 * math.pi * frequency * distances)
    taps = window * wave
    taps -= window * taps.sum() / window.sum()
    taps /= (taps * wave).sum()
    return dict(zip(distances.tolist(), taps.tolist(), strict=True))
