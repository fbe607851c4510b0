"""Three frames after each other, laid out in channels for a discriminator to judge their motion.

Beside the frames as they are stand the outer two moved to where the middle one is: where they agree
with it, the motion is true.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from sr_jax.layers.motion import enlarge_motion, warp
from sr_jax.layers.resampling import upsample_from_corner


class Triplets(NamedTuple):
    """Triplets of frames, and the motions that bring the outer ones to the middle one.

    Attributes:
      images: [n, 3, h, w, 3] in [0, 1].
      frames: the small ones, [n, 3, h2, w2, 3] in [0, 1].
      forward: from the first to the middle one, [n, h2, w2, 2], in pixels of small frames.
      backward: from the last to the middle one.
    """

    images: Float[Array, 'n 3 h w 3']
    frames: Float[Array, 'n 3 h2 w2 3']
    forward: Float[Array, 'n h2 w2 2']
    backward: Float[Array, 'n h2 w2 2']


def starts(length: int, every: int) -> list[int]:
    """Returns where the triplets of a clip begin: at every so many frames, if all are there."""
    return list(range(0, length - 2, every))


def cut_triplets(
    images: Float[Array, 'n t h w 3'],
    frames: Float[Array, 'n t h2 w2 3'],
    forward: Float[Array, 'n t h2 w2 2'],
    backward: Float[Array, 'n t h2 w2 2'],
    first: Sequence[int],
) -> Triplets:
    """Returns the triplets of clips that begin at some frames, one batch of them.

    No gradient goes to the motions, as in TecoGAN.

    Args:
      images: of the clips.
      frames: the small ones.
      forward: at i, the motion from frame i - 1 to frame i.
      backward: at i, the motion from frame i + 1 to frame i.
      first: where the triplets begin.
    """
    at = jnp.asarray(first)

    def flat(x: Array) -> Array:
        return x.reshape(-1, *x.shape[2:])

    def three(x: Array) -> Array:
        return flat(jnp.stack([x[:, at + i] for i in range(3)], axis=2))

    motions = (lax.stop_gradient(flat(motion[:, at + 1])) for motion in (forward, backward))
    return Triplets(three(images), three(frames), *motions)


def backward_of_ping_pong(forward: Float[Array, 'n t h w 2']) -> Float[Array, 'n t h w 2']:
    """Returns the motion from frame i + 1 to frame i of clips that run forth and back: on the way
    back, it is the motion from a frame to the next. That at the last frame says nothing."""
    return forward[:, ::-1]


def in_27_channels(triplets: Triplets, crop: float = 0.75) -> Float[Array, 'n h w 27']:
    """Returns triplets as TecoGAN's discriminator sees them (`lib/Teco.py`).

    Nine channels each of the images, of the moved images, and of the small frames, enlarged; in
    each nine, three frames of a color stand together. Images are in [-1, 1], small frames in [0,
    1]. The margins of the moved ones, where pixels come in from outside, are 0.

    Args:
      triplets: see there.
      crop: the part of a side that is kept of the moved images.
    """
    images, scale = 2 * triplets.images - 1, _scale(triplets)
    height, width = images.shape[2:4]
    mask = jnp.outer(_inside(height, crop), _inside(width, crop))[None, :, :, None]
    moved = by_color(jnp.stack(_move_outer(triplets._replace(images=images)), axis=1))
    frames = upsample_from_corner(by_color(triplets.frames), scale)
    return jnp.concatenate([by_color(images), mask * moved, frames], axis=-1)


def in_18_channels(triplets: Triplets, margin: int) -> Float[Array, 'n h2 w2 18']:
    """Returns triplets as DL-Art-School's discriminator sees them (`tecogan_losses.py`).

    Three images and the three moved ones, frame by frame, in [0, 1], without their margins.

    Args:
      triplets: see there.
      margin: pixels cut off on each side.
    """
    images = [triplets.images[:, i] for i in range(3)]
    joint = jnp.concatenate([*images, *_move_outer(triplets)], axis=-1)
    height, width = joint.shape[1:3]
    return joint[:, margin : height - margin, margin : width - margin]


def by_color(x: Float[Array, 'n t h w c']) -> Float[Array, 'n h w c*t']:
    """Returns frames in channels: all of the first color, then all of the second, and so on."""
    n, t, height, width, channels = x.shape
    return x.transpose(0, 2, 3, 4, 1).reshape(n, height, width, channels * t)


def _move_outer(triplets: Triplets) -> list[Float[Array, 'n h w 3']]:
    """The three images, the first and last moved to where the middle one is."""
    scale = _scale(triplets)
    first, middle, last = (triplets.images[:, i] for i in range(3))
    return [
        warp(first, enlarge_motion(triplets.forward, scale)),
        middle,
        warp(last, enlarge_motion(triplets.backward, scale)),
    ]


def _scale(triplets: Triplets) -> int:
    return triplets.images.shape[2] // triplets.frames.shape[2]


def _inside(side: int, crop: float) -> Float[Array, ' side']:
    """1 where a pixel of a side is kept, else 0."""
    offset = (side - int(side * crop)) // 2
    return jnp.zeros(side).at[offset : side - offset].set(1)
