"""HAT: attention within windows beside attention over channels, and across windows' borders.

Chen et al. 2022, "Activating More Pixels in Image Super-Resolution Transformer"
(arXiv:2205.04437), section 3 and figure 3, as its program has it (XPixelGroup/HAT, `hat_arch.py`).
"""

import math
from typing import ClassVar

import jax
from flax import linen as nn
from jaxtyping import Array, Float

from sr_jax.layers.channel_attention import ChannelAttention
from sr_jax.layers.convolution import Convolution
from sr_jax.layers.reconstruction import (
    FEATURES,
    BodyConvolution,
    Reconstruction,
    find_factors,
    rgb_mean,
)
from sr_jax.layers.tokens import MLP, gelu, layer_norm, linear
from sr_jax.layers.window_attention import (
    WindowAttention,
    attend,
    bias_table,
    look_up,
    split_heads,
)
from sr_jax.layers.windows import (
    check_heads,
    crop,
    join_windows,
    overlapping_positions,
    overlapping_windows,
    pad_to_multiple,
    split_windows,
)
from sr_jax.models.protocols import Limits, image_batch

CONVOLUTION_WEIGHT = 0.01  # of the channel attention beside the windows'
HEADS_FORM = 'pixel_shuffle'

Features = Float[Array, 'n h w c']


class ChannelBlock(nn.Module):
    """Two convolutions with fewer channels between them, and an attention over channels.

    Attributes:
      compressed: channels between the convolutions.
      squeezed: channels inside of the attention.
      dtype: name of the type computed in; parameters stay float32.
    """

    compressed: int
    squeezed: int
    dtype: str = 'float32'

    @nn.compact
    def __call__(self, x: Features) -> Features:
        """Features of the same shape."""
        h = gelu(Convolution(self.compressed, 3, dtype=self.dtype, name='conv_0')(x))
        h = Convolution(x.shape[-1], 3, dtype=self.dtype, name='conv_1')(h)
        return ChannelAttention(self.squeezed, self.dtype, name='attention')(h)


class HybridBlock(nn.Module):
    """Attention within windows and a channel block, side by side; then an MLP.

    Attributes:
      heads: of the attention.
      window: side of the windows.
      shift: pixels that they are shifted by.
      hidden: channels inside of the MLP.
      compressed: of the channel block.
      squeezed: of the channel block.
      use_bias: of the queries, keys and values.
      dtype: name of the type computed in; parameters stay float32.
    """

    heads: int
    window: int
    shift: int
    hidden: int
    compressed: int
    squeezed: int
    use_bias: bool
    dtype: str = 'float32'

    @nn.compact
    def __call__(self, x: Features) -> Features:
        """Features of the same shape."""
        sides = (self.window,) * 2, (self.shift,) * 2
        attention = WindowAttention(
            self.heads, *sides, self.use_bias, self.dtype, name='attention'
        )
        channels = ChannelBlock(self.compressed, self.squeezed, self.dtype, name='channels')
        h = layer_norm('norm_1', self.dtype)(x)
        x = x + attention(h) + CONVOLUTION_WEIGHT * channels(h)
        return x + MLP(self.hidden, self.dtype, name='mlp')(layer_norm('norm_2', self.dtype)(x))


class OverlappingBlock(nn.Module):
    """Attention of a window's pixels to those of a larger window around it; then an MLP.

    Attributes:
      heads: of the attention.
      window: side of the windows.
      overlap: pixels around each.
      hidden: channels inside of the MLP.
      use_bias: of the queries, keys and values.
      dtype: name of the type computed in; parameters stay float32.
    """

    heads: int
    window: int
    overlap: int
    hidden: int
    use_bias: bool
    dtype: str = 'float32'

    @nn.compact
    def __call__(self, x: Features) -> Features:
        """Features of the same shape."""
        sides, channels = (self.window,) * 2, x.shape[-1]
        h = layer_norm('norm_1', self.dtype)(x)
        qkv = linear(3 * channels, 'qkv', self.dtype, self.use_bias)(h)
        q = split_windows(qkv[..., :channels], sides)
        q = q.reshape(*q.shape[:3], self.heads, -1)
        kv = overlapping_windows(qkv[..., channels:], sides, self.overlap)
        k, v = split_heads(kv, 2, self.heads)
        rows = (2 * self.window + 2 * self.overlap - 1) ** 2
        table = bias_table(self, 'bias_table', rows, self.heads)
        positions = overlapping_positions(self.window, self.overlap) % rows
        made = join_windows(attend(q, k, v, look_up(table, positions)), x.shape[1:3], sides)
        x = x + linear(channels, 'proj', self.dtype)(made)
        return x + MLP(self.hidden, self.dtype, name='mlp')(layer_norm('norm_2', self.dtype)(x))


class HAT(nn.Module):
    """The defaults are those of the paper's HAT for scale 4.

    Images are mirrored at the lower and the right edge up to whole windows, as in the original.
    There is no stochastic depth.

    Attributes:
      scale: output pixels per input pixel along a side.
      features: channels of the body; `heads` divides them.
      num_groups: residual groups of blocks.
      num_blocks: hybrid blocks in each, before an overlapping one.
      heads: of each attention.
      window: side of the windows in pixels.
      overlap: pixels around the windows of overlapping blocks.
      hidden: channels inside of the MLPs.
      compressed: channels between the convolutions of the channel blocks.
      squeezed: channels inside of the attention over channels.
      head_features: channels of the head.
      body_convolutions: after the blocks of a group, and after all groups: 1, or 0.
      use_bias: of the queries, keys and values.
      dtype: name of the type computed in; parameters and images are float32.
      remat: recompute the blocks' activations in the backward pass, for memory.
      in_channels: of images given and made.
    """

    REPEATED: ClassVar[tuple[str, ...]] = ('num_groups', 'num_blocks')
    LIMITS: ClassVar[Limits] = {'body_convolutions': (0, math.inf), 'overlap': (0, math.inf)}
    multiple: ClassVar[int] = 1
    input_size: ClassVar[None] = None
    halo: ClassVar[None] = None  # attention over channels looks at the whole image

    scale: int = 4
    features: int = 180
    num_groups: int = 6
    num_blocks: int = 6
    heads: int = 6
    window: int = 16
    overlap: int = 4
    hidden: int = 360
    compressed: int = 60
    squeezed: int = 6
    head_features: int = FEATURES
    body_convolutions: int = 1
    use_bias: bool = True
    dtype: str = 'float32'
    remat: bool = False
    in_channels: int = 3

    def example(self, n: int) -> jax.ShapeDtypeStruct:
        """A batch of n images that it can be called with."""
        return image_batch(n, self.window, 2 * self.window, self.in_channels)

    @nn.compact
    def __call__(self, x: Features, train: bool = False) -> Float[Array, 'n h2 w2 c']:
        """Images in [0, 1], `scale` times as high and as wide (not clipped to [0, 1]).

        `train` changes nothing: no layer behaves differently in training.

        Raises:
          InputError: it has no such scale, or heads that do not divide the features.
        """
        find_factors(HEADS_FORM, self.scale)
        check_heads(self.features, self.heads)
        height, width = (self.scale * side for side in x.shape[1:3])
        mean = rgb_mean(self.in_channels)
        x = pad_to_multiple(x - mean, self.window)
        x = Convolution(self.features, 3, dtype=self.dtype, name='conv_first')(x)
        x = self._body(x) + x
        fields = (self.scale, self.head_features, self.in_channels, self.dtype)
        made = Reconstruction(HEADS_FORM, *fields, name='reconstruction')(x) + mean
        return crop(made, height, width)

    def _body(self, x: Features) -> Features:
        hybrid, overlapping = HybridBlock, OverlappingBlock
        if self.remat:
            hybrid, overlapping = nn.remat(HybridBlock), nn.remat(OverlappingBlock)
        x = layer_norm('norm_first', self.dtype)(x)
        for i in range(self.num_groups):
            h = x
            for j in range(self.num_blocks):
                shift = self.window // 2 if j % 2 else 0
                sizes = (self.heads, self.window, shift, self.hidden)
                rest = (self.compressed, self.squeezed, self.use_bias, self.dtype)
                h = hybrid(*sizes, *rest, name=f'group_{i}_block_{j}')(h)
            sizes = (self.heads, self.window, self.overlap, self.hidden)
            h = overlapping(*sizes, self.use_bias, self.dtype, name=f'group_{i}_overlapping')(h)
            x = x + self._convolve(h, f'group_{i}_conv')
        return self._convolve(layer_norm('norm_last', self.dtype)(x), 'conv_body')

    def _convolve(self, x: Features, name: str) -> Features:
        if self.body_convolutions == 0:
            return x
        return BodyConvolution(self.body_convolutions, self.dtype, name=name)(x)


Model = HAT
