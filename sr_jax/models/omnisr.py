"""OmniSR: attention over pixels and over channels, in windows and in grids of distant pixels.

Wang et al. 2023, "Omni Aggregation Networks for Lightweight Image Super-Resolution"
(arXiv:2304.10244), section 3 and figures 3 to 5, as its program has it (Francis0625/Omni-SR).
"""

from collections.abc import Callable
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from sr_jax.errors import InputError
from sr_jax.layers.channel_attention import attend_channels
from sr_jax.layers.convolution import Convolution
from sr_jax.layers.depthwise import DepthwiseConvolution
from sr_jax.layers.parameter import parameter
from sr_jax.layers.resampling import pixel_shuffle
from sr_jax.layers.tokens import gelu, layer_norm, linear
from sr_jax.layers.window_attention import attend, bias_table, look_up, split_heads
from sr_jax.layers.windows import (
    check_heads,
    crop,
    join_grids,
    join_windows,
    pad_to_multiple,
    relative_positions,
    split_grids,
    split_windows,
)
from sr_jax.models.protocols import image_batch

HEADS = 4
SQUEEZE = 4  # channels of the attentions over the image, of one
MIN_SPATIAL = 16  # channels of the spatial attention
POOLED, POOL_STRIDE = 7, 3  # of the spatial attention
MIN_SIDE = 16  # below it, the pooling has no pixel
EPSILON = 1e-6  # of the norms before convolutions

Features = Float[Array, 'n h w c']


class LocalBlock(nn.Module):
    """A convolution of each channel between ones of pixels, with factors by channel; plus x.

    Attributes:
      dtype: name of the type computed in; parameters stay float32.
    """

    dtype: str = 'float32'

    @nn.compact
    def __call__(self, x: Features) -> Features:
        """Features of the same shape."""
        channels = x.shape[-1]
        h = gelu(Convolution(channels, 1, dtype=self.dtype, name='conv_0')(x))
        h = gelu(DepthwiseConvolution(3, self.dtype, name='conv_1')(h))
        mean = h.mean(axis=(1, 2), keepdims=True)
        squeezed = linear(channels // SQUEEZE, 'squeeze', self.dtype, use_bias=False)(mean)
        factors = nn.sigmoid(
            linear(channels, 'excite', self.dtype, use_bias=False)(nn.silu(squeezed))
        )
        return x + Convolution(channels, 1, dtype=self.dtype, name='conv_2')(h * factors)


class PixelAttention(nn.Module):
    """Self-attention of the pixels of a window or of a grid.

    Attributes:
      window: pixels of either along a side.
      grid: of the pixels that lie a part of the image apart, not of neighbors.
      positions: there are biases by relative place.
      dtype: name of the type computed in; parameters and the softmax are float32.
    """

    window: int
    grid: bool
    positions: bool
    dtype: str = 'float32'

    @nn.compact
    def __call__(self, x: Features) -> Features:
        """Features of the same shape."""
        sides, channels = (self.window,) * 2, x.shape[-1]
        windows = (split_grids if self.grid else split_windows)(x, sides)
        qkv = linear(3 * channels, 'qkv', self.dtype, use_bias=False)(windows)
        q, k, v = split_heads(qkv, 3, HEADS)
        bias = None
        if self.positions:
            table = bias_table(self, 'bias_table', (2 * self.window - 1) ** 2, HEADS)
            bias = look_up(table, relative_positions(sides))
        made = linear(channels, 'proj', self.dtype, use_bias=False)(attend(q, k, v, bias))
        return (join_grids if self.grid else join_windows)(made, x.shape[1:3], sides)


class ChannelsAttention(nn.Module):
    """Self-attention of the channels, over the pixels of a window or of a grid.

    Attributes:
      window: side of the windows.
      grid: over the pixels of one place in all windows, not over those of one window.
      dtype: name of the type computed in; parameters and the softmax are float32.
    """

    window: int
    grid: bool
    dtype: str = 'float32'

    @nn.compact
    def __call__(self, x: Features) -> Features:
        """Features of the same shape."""
        sides, channels = (self.window,) * 2, x.shape[-1]
        qkv = Convolution(3 * channels, 1, dtype=self.dtype, use_bias=False, name='qkv')(x)
        qkv = DepthwiseConvolution(3, self.dtype, use_bias=False, name='conv')(qkv)
        windows = split_windows(qkv, sides)
        if self.grid:
            windows = windows.swapaxes(1, 2)
        start = nn.initializers.ones
        temperature = jnp.asarray(parameter(self, 'temperature', start, (HEADS, 1, 1)))[:, 0, 0]
        q, k, v = split_heads(windows, 3, HEADS)
        made = attend_channels(q, k, v, temperature)
        made = join_windows(made.swapaxes(1, 2) if self.grid else made, x.shape[1:3], sides)
        return Convolution(channels, 1, dtype=self.dtype, use_bias=False, name='proj')(made)


class GatedConvolution(nn.Module):
    """Twice the channels, convolved each by itself; one half, activated, times the other.

    Attributes:
      dtype: name of the type computed in; parameters stay float32.
    """

    dtype: str = 'float32'

    @nn.compact
    def __call__(self, x: Features) -> Features:
        """Features of the same shape."""
        channels = x.shape[-1]
        h = Convolution(2 * channels, 1, dtype=self.dtype, use_bias=False, name='conv_0')(x)
        h = DepthwiseConvolution(3, self.dtype, use_bias=False, name='conv_1')(h)
        h, gate = jnp.split(h, 2, axis=-1)
        h = gelu(h) * gate
        return Convolution(channels, 1, dtype=self.dtype, use_bias=False, name='conv_2')(h)


class OmniBlock(nn.Module):
    """A local block; then, in windows and in grids: pixels, a gated MLP, channels, another.

    Fields as those of `PixelAttention`.
    """

    window: int
    positions: bool
    dtype: str = 'float32'

    @nn.compact
    def __call__(self, x: Features) -> Features:
        """Features of the same shape."""

        def add(name: str, x: Array, layer: Callable[..., Array], epsilon: float) -> Array:
            return x + layer(layer_norm(f'norm_{name}', self.dtype, epsilon)(x))

        x = LocalBlock(self.dtype, name='local')(x)
        for kind, grid in (('window', False), ('grid', True)):
            pixels = PixelAttention(
                self.window, grid, self.positions, self.dtype, name=f'{kind}_pixels'
            )
            channels = ChannelsAttention(self.window, grid, self.dtype, name=f'{kind}_channels')
            x = add(f'{kind}_pixels', x, pixels, 1e-5)
            for name, layer in (('gate_0', None), ('channels', channels), ('gate_1', None)):
                name = f'{kind}_{name}'
                x = add(name, x, layer or GatedConvolution(self.dtype, name=name), EPSILON)
        return x


class SpatialAttention(nn.Module):
    """Features times factors of each pixel, by what lies in pooled surroundings.

    Liu et al. 2020, "Residual Feature Aggregation Network for Image Super-Resolution", section 3.3.

    Attributes:
      dtype: name of the type computed in; parameters stay float32.
    """

    dtype: str = 'float32'

    @nn.compact
    def __call__(self, x: Features) -> Features:
        """Features of the same shape."""
        features = max(x.shape[-1] // SQUEEZE, MIN_SPATIAL)
        first = Convolution(features, 1, dtype=self.dtype, name='conv_0')(x)
        dtype = jnp.dtype(self.dtype)
        h = nn.Conv(features, (3, 3), 2, padding='VALID', dtype=dtype, name='conv_down')(first)
        h = nn.max_pool(h, (POOLED,) * 2, (POOL_STRIDE,) * 2)
        h = Convolution(features, 3, dtype=self.dtype, name='conv_pooled')(h)
        h = jax.image.resize(h, first.shape, 'linear', antialias=False)
        h += Convolution(features, 1, dtype=self.dtype, name='conv_same')(first)
        return x * nn.sigmoid(Convolution(x.shape[-1], 1, dtype=self.dtype, name='conv_last')(h))


class OmniSR(nn.Module):
    """The defaults are those of the paper's network for scale 4.

    Images are continued with zeros below and on the right up to whole windows.

    Attributes:
      scale: output pixels per input pixel along a side, 1 or more.
      features: channels inside; 4 divides them.
      num_groups: groups of blocks, each with a spatial attention at the end.
      num_blocks: blocks in each.
      window: side of the windows in pixels, and pixels of a grid along a side.
      positions: attentions of pixels have biases by relative place.
      use_bias: convolutions around the blocks have biases.
      dtype: name of the type computed in; parameters and images are float32.
      remat: recompute each block in the backward pass, for memory.
      in_channels: of images given.
      out_channels: of images made.
    """

    REPEATED: ClassVar[tuple[str, ...]] = ('num_groups', 'num_blocks')
    multiple: ClassVar[int] = 1
    input_size: ClassVar[None] = None
    halo: ClassVar[None] = None  # grids reach over the whole image

    scale: int = 4
    features: int = 64
    num_groups: int = 5
    num_blocks: int = 1
    window: int = 8
    positions: bool = True
    use_bias: bool = True
    dtype: str = 'float32'
    remat: bool = False
    in_channels: int = 3
    out_channels: int = 3

    def example(self, n: int) -> jax.ShapeDtypeStruct:
        """A batch of n images that it can be called with."""
        return image_batch(n, 24, 32, self.in_channels)

    @nn.compact
    def __call__(self, x: Features, train: bool = False) -> Float[Array, 'n h2 w2 c2']:
        """Images in [0, 1], `scale` times as high and as wide (not clipped to [0, 1]).

        `train` changes nothing: no layer behaves differently in training.

        Raises:
          InputError: a scale below 1, or channels that 4 does not divide.
        """
        if self.scale < 1:
            raise InputError(f'OmniSR enlarges by 1 or more, not by {self.scale!r}')
        check_heads(self.features, HEADS)
        height, width = (self.scale * side for side in x.shape[1:3])

        def conv(name: str, features: int, taps: int, y: Array) -> Array:
            module = Convolution(
                features, taps, dtype=self.dtype, use_bias=self.use_bias, name=name
            )
            return module(y)

        x = pad_to_multiple(x, self.window, 'constant', MIN_SIDE)
        first = conv('conv_first', self.features, 3, x)
        block, h = nn.remat(OmniBlock) if self.remat else OmniBlock, first
        for i in range(self.num_groups):
            inside = h
            for j in range(self.num_blocks):
                fields = (self.window, self.positions, self.dtype)
                inside = block(*fields, name=f'group_{i}_block_{j}')(inside)
            h = h + conv(f'group_{i}_conv', self.features, 1, inside)
            h = SpatialAttention(self.dtype, name=f'group_{i}_attention')(h)
        h = conv('conv_body', self.features, 3, h) + first
        h = conv('conv_last', self.out_channels * self.scale**2, 3, h)
        return crop(pixel_shuffle(h.astype(jnp.float32), self.scale), height, width)


Model = OmniSR
