"""Attention within rectangles, of half of the channels each way, and the MLP that goes with it.

Chen et al. 2022, "Cross Aggregation Transformer for Image Restoration" (arXiv:2211.13654), section
3.2, as in DAT (arXiv:2308.03364, section 3.2) and RGT (arXiv:2303.06373, section 3.2).
"""

import jax.numpy as jnp
from flax import linen as nn
from jax import lax
from jaxtyping import Array, Float

from sr_jax.layers.depthwise import DepthwiseConvolution
from sr_jax.layers.tokens import gelu, layer_norm, linear
from sr_jax.layers.window_attention import attend, look_up
from sr_jax.layers.windows import (
    Window,
    crop,
    join_windows,
    name_regions,
    pad_to_multiple,
    relative_offsets,
    relative_positions,
    split_windows,
)

POSITION_SQUEEZE = 16  # channels of the network of biases, of one of its branch's

Features = Float[Array, 'n h w c']


def is_shifted(group: int, block: int) -> bool:
    """Whether the rectangles of a block are shifted: every other one of those that have some."""
    return block % 4 == (2 if group % 2 == 0 else 0)


class PositionBias(nn.Module):
    """Biases by relative place that a small network makes of the places.

    Attributes:
      heads: of the attention.
      window: whose pixels are placed.
      width: channels inside.
    """

    heads: int
    window: Window
    width: int

    @nn.compact
    def __call__(self) -> Float[Array, 'rows heads']:
        """A table for `look_up`, in float32."""
        x = linear(self.width, 'places')(jnp.asarray(relative_offsets(self.window)))
        for i, features in enumerate((self.width, self.width, self.heads)):
            x = nn.relu(layer_norm(f'norm_{i}')(x))
            x = linear(features, f'linear_{i}')(x)
        return x


class RectangleAttention(nn.Module):
    """Attention within rectangles: half of the channels in lying, half in standing ones.

    Images are continued with zeros below and on the right up to whole rectangles of both kinds.

    Attributes:
      heads: of both halves together; an even number.
      split: height and width of the first half's rectangles; the other's are turned.
      shifted: they are shifted by half of their sides.
    """

    heads: int
    split: Window
    shifted: bool

    @nn.compact
    def __call__(self, qkv: Float[Array, 'n h w 3*c']) -> Features:
        """What queries, keys and values make of themselves."""
        h, w = qkv.shape[1:3]
        padded = pad_to_multiple(qkv, max(self.split), 'constant')
        halves = padded.reshape(*padded.shape[:3], 3, 2, -1)
        made = [
            self._attend(i, lax.index_in_dim(halves, i, 4, keepdims=False), window)
            for i, window in enumerate((self.split, self.split[::-1]))
        ]
        return crop(jnp.concatenate(made, axis=-1), h, w)

    def _attend(self, number: int, qkv: Float[Array, 'n h w 3 c'], window: Window) -> Features:
        size, heads, channels = qkv.shape[1:3], self.heads // 2, qkv.shape[-1]
        shift = window[0] // 2, window[1] // 2
        if self.shifted:
            qkv = jnp.roll(qkv, (-shift[0], -shift[1]), (1, 2))
        windows = split_windows(qkv, window)
        q, k, v = jnp.moveaxis(windows.reshape(*windows.shape[:4], heads, -1), 3, 0)
        width = channels // POSITION_SQUEEZE
        table = PositionBias(heads, window, width, name=f'positions_{number}')()
        regions = (name_regions(size, window, shift),) * 2 if self.shifted else None
        made = attend(q, k, v, look_up(table, relative_positions(window)), regions)
        made = join_windows(made, size, window)
        return jnp.roll(made, shift, (1, 2)) if self.shifted else made


class GatedMLP(nn.Module):
    """An MLP, half of whose inner channels multiply the other half after a convolution.

    Attributes:
      hidden: channels inside.
      dtype: name of the type computed in; parameters stay float32.
    """

    hidden: int
    dtype: str = 'float32'

    @nn.compact
    def __call__(self, x: Features) -> Features:
        """Features of the same shape."""
        h, gate = jnp.split(gelu(linear(self.hidden, 'fc1', self.dtype)(x)), 2, axis=-1)
        gate = layer_norm('norm', self.dtype)(gate)
        gate = DepthwiseConvolution(3, self.dtype, name='conv')(gate)
        return linear(x.shape[-1], 'fc2', self.dtype)(h * gate)
