"""Clips, [n, t, h, w, c]: made small, and through a recurrent network, frame by frame."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Key

from sr_jax import degradations
from sr_jax.data.fields import CLIP
from sr_jax.data.sources import fields_of
from sr_jax.degradations import tape
from sr_jax.degradations.settings import PairedSettings, SecondOrderSettings, TapeSettings
from sr_jax.errors import InputError
from sr_jax.layers.motion import warp
from sr_jax.models.protocols import Recurrent
from sr_jax.tasks.shared import compression


def enlarge_clip(
    model: Recurrent, variables: Any, frames: Float[Array, 'n t h w 3'], train: bool = False
) -> tuple[Float[Array, 'n t h2 w2 3'], Float[Array, 'n t h w 2']]:
    """Returns the images of the frames of clips, and the motion from each frame to the next.

    The first motion is from black, and says nothing. With the network's `remat`, what the backward
    pass needs of a frame is computed again there, but for what it leaves to the next: the memory of
    one frame, and of the states between.

    Args:
      model: the network.
      variables: of it.
      frames: in [0, 1].
      train: whether layers behave as in training.
    """

    def step(memory: Any, frame: Array) -> tuple[Any, tuple[Array, Array]]:
        memory, motion = model.apply(variables, memory, frame, train, method='step')
        return memory, (memory.image, motion)

    first = model.start(frames[:, 0])
    every = jax.checkpoint(step, prevent_cse=False) if model.remat else step
    _, (images, motions) = lax.scan(every, first, frames.swapaxes(0, 1))
    return images.swapaxes(0, 1), motions.swapaxes(0, 1)


def ping_pong(clips: Float[Array, 'n t h w c']) -> Float[Array, 'n 2*t-1 h w c']:
    """Returns clips that run to their last frame and back to their first: TecoGAN, section 3.2."""
    return jnp.concatenate([clips, clips[:, -2::-1]], axis=1)


def flatten(clips: Float[Array, 'n t *rest']) -> Float[Array, 'n*t *rest']:
    """Returns the frames of clips, one after the other."""
    return clips.reshape(-1, *clips.shape[2:])


def unflatten(frames: Float[Array, 'n*t *rest'], count: int) -> Float[Array, 'n t *rest']:
    """Returns frames as so many clips."""
    return frames.reshape(count, -1, *frames.shape[1:])


def degrade_clips(
    hq: Float[Array, 'n t h w 3'],
    scale: int,
    settings: degradations.Settings,
    key: Key[Array, ''] | None = None,
) -> Float[Array, 'n t h2 w2 3']:
    """Returns the small frames of clips, all of a clip made in the same way.

    Args:
      hq: in [0, 1].
      scale: of the network.
      settings: how; what draws for each image by itself is refused by `check_degradation`.
      key: what is drawn from; None: a clip's draws come from its own pixels, always alike.
    """
    if isinstance(settings, TapeSettings):
        keys = degradations.keys_of(hq) if key is None else jax.random.split(key, len(hq))
        small = tape.degrade(hq, scale, settings, keys)
        return compression.compress(small, settings, keys) if settings.codec else small
    lq, _ = degradations.degrade(flatten(hq), scale, settings, jax.random.key(0))
    return unflatten(lq, len(hq))


def check_degradation(settings: degradations.Settings) -> None:
    """Raises InputError for a degradation that would make each frame of a clip another way."""
    if isinstance(settings, SecondOrderSettings | PairedSettings):
        raise InputError(
            f'config.degradation.name={settings.name!r} is for single images, not for clips: take '
            'gaussian, bicubic or tape'
        )


def check_source(spec: str) -> None:
    """Raises InputError unless a source has clips."""
    if fields_of(spec).get('hq') is not CLIP:
        raise InputError(
            f'config.data.source={spec!r} holds single images, without motion: let them move, '
            f"'moving:{spec}', or take films"
        )


def move_to_next(
    frames: Float[Array, 'n t h w 3'], motions: Float[Array, 'n t h w 2']
) -> Float[Array, 'n t-1 h w 3']:
    """Returns each frame but the last of clips, moved to where the next one is.

    Args:
      frames: of the clips.
      motions: at i, from frame i - 1 to frame i.
    """
    moved = warp(flatten(frames[:, :-1]), flatten(motions[:, 1:]))
    return unflatten(moved, len(frames))
