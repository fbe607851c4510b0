"""Clips through a real encoder, on the host in the middle of a step.

What follows no formula worth writing down, blocks, ringing and what one frame takes from another,
is had from the programs that make it.
"""

import functools
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float, Key

from sr_jax.degradations.draws import integer
from sr_jax.degradations.settings import TapeSettings
from sr_jax.errors import InputError


def compress(
    clips: Float[Array, 'n t h w 3'], settings: TapeSettings, keys: Key[Array, ' n']
) -> Float[Array, 'n t h w 3']:
    """Returns clips, each compressed as strongly as it draws: `sr_jax.film.compression`.

    No gradient passes. Needs PyAV, and all devices in one process.

    Args:
      clips: in [0, 1].
      settings: the codec and the range of its strength.
      keys: of each clip.

    Raises:
      InputError: there are several processes, each of which has but a part of the clips.
    """
    if jax.process_count() > 1:
        raise InputError(
            "config.degradation.codec: one process encodes for all devices; take '' with several"
        )
    u = jax.vmap(lambda key: jax.random.uniform(jax.random.fold_in(key, 6)))(keys)
    strengths = integer(u, *settings.strength)
    on_host = functools.partial(_compress_all, settings.codec)
    shape = jax.ShapeDtypeStruct(clips.shape, np.float32)
    found: Array = jax.pure_callback(on_host, shape, clips, strengths)
    return jax.lax.stop_gradient(found)


def _compress_all(codec: str, clips: Any, strengths: Any) -> np.ndarray:
    from sr_jax.film.compression import compress_clip  # it needs PyAV

    pairs = zip(np.asarray(clips), np.asarray(strengths), strict=True)
    return np.stack([compress_clip(clip, codec, int(strength)) for clip, strength in pairs])
