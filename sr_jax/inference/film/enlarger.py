"""What enlarges the frames of a film: in batches, or one after the other by a network that
remembers."""

import functools
from typing import TypeAlias

from sr_jax.inference.film.frames import Change, FrameEnlarger
from sr_jax.inference.film.recurrent import RecurrentEnlarger
from sr_jax.inference.upscaler import Upscaler

Enlarger: TypeAlias = FrameEnlarger | RecurrentEnlarger

KEPT = 4  # enlargers that `make_enlarger` keeps


@functools.lru_cache(KEPT)
def make_enlarger(upscaler: Upscaler, change: Change, each: int | None = None) -> Enlarger:
    """Returns what enlarges frames; the last few are kept, as films of one kind often follow.

    Args:
      upscaler: the network; not `bounded`.
      change: what becomes of frames.
      each: see `FrameEnlarger`.
    """
    if change.remembers:
        return RecurrentEnlarger(upscaler, change)
    return FrameEnlarger(upscaler, change, each)
