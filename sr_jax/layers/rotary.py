"""Rotary positions in two dimensions (Su et al. 2021, arXiv:2104.09864).

Half of a head's pairs of channels turn by an angle that grows with the row, half with the column,
so that products of queries and keys depend on how far apart they lie, down and across.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from sr_jax.errors import InputError

SLOWEST = 100.0  # places for the slowest pair to turn by one radian; maps have up to some hundred


def make_angles(height: int, width: int, channels: int) -> Float[np.ndarray, 't pairs']:
    """Returns by how much each pair of channels turns at each place of a map, in reading order.

    Raises:
      InputError: the channels of a head are no multiple of 4.
    """
    if channels % 4:
        raise InputError(
            f'a head of {channels} channels has no rotary positions in two dimensions: take '
            '`channels` that are a multiple of 4 times the heads'
        )
    pairs = channels // 4
    speeds = SLOWEST ** (-np.arange(pairs) / pairs)
    rows, columns = np.divmod(np.arange(height * width), width)
    turns = [places[:, None] * speeds[None] for places in (rows, columns)]
    return np.concatenate(turns, axis=1).astype(np.float32)


def rotate(
    x: Float[Array, 'n t heads d'], angles: Float[Array, 't pairs']
) -> Float[Array, 'n t heads d']:
    """Returns queries or keys, each pair of channels turned by its angle."""
    sine, cosine = (f(angles)[None, :, None, :].astype(x.dtype) for f in (jnp.sin, jnp.cos))
    first, second = jnp.split(x, 2, axis=-1)
    return jnp.concatenate(
        [first * cosine - second * sine, first * sine + second * cosine], axis=-1
    )
