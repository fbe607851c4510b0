"""DySample: enlargement by sampling features where a convolution says.

Liu et al. 2023, "Learning to Upsample by Learning to Sample" (arXiv:2308.15085), section 3, in the
form 'lp' with a dynamic scope.
"""

import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jaxtyping import Array, Float

from sr_jax.errors import InputError
from sr_jax.layers.convolution import Convolution
from sr_jax.layers.resampling import pixel_shuffle

RANGE = 0.5  # of offsets in pixels, about


def sample_bilinear(
    x: Float[Array, 'n h w g c'],
    rows: Float[Array, 'n h2 w2 g'],
    columns: Float[Array, 'n h2 w2 g'],
) -> Float[Array, 'n h2 w2 g c']:
    """Features between the pixels, linearly; beyond the outer pixels' centers these repeat.

    Args:
      x: features in groups, each sampled at places of its own.
      rows: where, in pixels from the center of the first one.
      columns: likewise.
    """
    n, h, w, groups, channels = x.shape
    flat = x.transpose(0, 3, 1, 2, 4).reshape(n, groups, h * w, channels)
    places = []
    for position, size in ((rows, h), (columns, w)):
        position = jnp.clip(position, 0, size - 1)
        before = jnp.floor(position)
        index = before.astype(jnp.int32)
        places.append((index, jnp.minimum(index + 1, size - 1), position - before))
    (top, bottom, down), (left, right, across) = places

    def take(row: Array, column: Array) -> Array:
        index = (row * w + column).transpose(0, 3, 1, 2).reshape(n, groups, -1, 1)
        found = jnp.take_along_axis(flat, index, axis=2)
        return found.reshape(n, groups, *rows.shape[1:3], channels).transpose(0, 2, 3, 1, 4)

    down, across = down[..., None].astype(x.dtype), across[..., None].astype(x.dtype)
    upper = take(top, left) * (1 - across) + take(top, right) * across
    lower = take(bottom, left) * (1 - across) + take(bottom, right) * across
    return upper * (1 - down) + lower * down


def initial_offsets(scale: int, groups: int) -> Float[np.ndarray, '2*groups*scale*scale']:
    """The offsets of a bilinear enlargement: to the right of each group and pixel, then down."""
    steps = ((np.arange(scale) - (scale - 1) / 2) / scale).astype(np.float32)
    down, across = np.meshgrid(steps, steps, indexing='ij')
    return np.stack([np.tile(across, (groups, 1)), np.tile(down, (groups, 1))]).reshape(-1)


class DySample(nn.Module):
    """Features `scale` times as high and as wide.

    Attributes:
      scale: output pixels per pixel along a side.
      groups: of channels, which have offsets of their own.
      features: channels made by a 1 x 1 convolution at the end; 0: there is none.
      dtype: name of the type that convolutions compute in; places are float32.
    """

    scale: int
    groups: int
    features: int
    dtype: str = 'float32'

    @nn.compact
    def __call__(self, x: Float[Array, 'n h w c']) -> Float[Array, 'n h2 w2 c2']:
        """Enlarged features.

        Raises:
          InputError: the groups do not divide the channels.
        """
        n, h, w, channels = x.shape
        if channels % self.groups:
            raise InputError(f'{channels} channels do not split into {self.groups} groups')
        number = 2 * self.groups * self.scale**2
        offset = Convolution(number, 1, dtype=self.dtype, name='offset')(x)
        scope = Convolution(number, 1, dtype=self.dtype, use_bias=False, name='scope')(x)
        offset = offset.astype(jnp.float32) * nn.sigmoid(scope.astype(jnp.float32)) * RANGE
        offset += initial_offsets(self.scale, self.groups)[None, None, None]
        grid = jnp.meshgrid(jnp.arange(w), jnp.arange(h))
        places = jnp.repeat(jnp.stack(grid, axis=-1), number // 2, axis=-1)[None] + offset
        columns, rows = jnp.split(pixel_shuffle(places, self.scale), 2, axis=-1)
        made = sample_bilinear(x.reshape(n, h, w, self.groups, -1), rows, columns)
        made = made.reshape(*made.shape[:3], channels)
        if not self.features:
            return made
        return Convolution(self.features, 1, dtype=self.dtype, name='conv_last')(made)
