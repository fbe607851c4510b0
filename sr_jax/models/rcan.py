"""RCAN: residual groups of residual blocks with attention over channels.

Zhang et al. 2018, "Image Super-Resolution Using Very Deep Residual Channel Attention Networks"
(arXiv:1807.02758), section 3 and figures 2 to 4, as its program has it (yulunzhang/RCAN).
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from sr_jax.errors import InputError
from sr_jax.layers.channel_attention import ChannelAttention
from sr_jax.layers.convolution import Convolution
from sr_jax.layers.reconstruction import RGB_MEAN, find_factors
from sr_jax.layers.resampling import pixel_shuffle, pixel_unshuffle
from sr_jax.layers.windows import crop, pad_to_multiple
from sr_jax.models.protocols import image_batch

COLOR_RANGE = 255.0
UNSHUFFLED_SCALE = 4  # of the trunk where the input is laid out in channels

Features = Float[Array, 'n h w c']


class ChannelAttentionBlock(nn.Module):
    """Two convolutions and an attention over channels; plus x.

    Attributes:
      squeezed: channels inside of the attention.
      dtype: name of the type computed in; parameters stay float32.
    """

    squeezed: int
    dtype: str = 'float32'

    @nn.compact
    def __call__(self, x: Features) -> Features:
        """Features of the same shape."""
        h = nn.relu(Convolution(x.shape[-1], 3, dtype=self.dtype, name='conv_0')(x))
        h = Convolution(x.shape[-1], 3, dtype=self.dtype, name='conv_1')(h)
        return x + ChannelAttention(self.squeezed, self.dtype, name='attention')(h)


class RCAN(nn.Module):
    """The defaults are those of the paper for scale 4.

    Start values are PyTorch's defaults, as in the original.

    Attributes:
      scale: output pixels per input pixel along a side: a power of 2, or 3.
      features: channels inside.
      num_groups: residual groups.
      num_blocks: blocks in each.
      squeezed: channels inside of the attentions.
      normalize: compute with colors of 0 to 255 less their mean; of three channels only.
      unshuffle: lay the input out in channels first, for scales 1 and 2; images are mirrored at
        the lower and the right edge up to whole squares.
      dtype: name of the type computed in; parameters and images are float32.
      remat: recompute each block in the backward pass, for memory.
      in_channels: of images given and made.
    """

    REPEATED: ClassVar[tuple[str, ...]] = ('num_groups', 'num_blocks')
    multiple: ClassVar[int] = 1
    input_size: ClassVar[None] = None
    halo: ClassVar[None] = None  # attention over channels looks at the whole image

    scale: int = 4
    features: int = 64
    num_groups: int = 10
    num_blocks: int = 20
    squeezed: int = 4
    normalize: bool = True
    unshuffle: bool = False
    dtype: str = 'float32'
    remat: bool = False
    in_channels: int = 3

    def example(self, n: int) -> jax.ShapeDtypeStruct:
        """A batch of n images that it can be called with."""
        return image_batch(n, 24, 32, self.in_channels)

    @nn.compact
    def __call__(self, x: Features, train: bool = False) -> Float[Array, 'n h2 w2 c']:
        """Images in [0, 1], `scale` times as high and as wide (not clipped to [0, 1]).

        `train` changes nothing: no layer behaves differently in training.

        Raises:
          InputError: it has no such scale, or normalized colors that are no three.
        """
        factors = find_factors('pixel_shuffle', self.scale)
        if self.unshuffle and self.scale not in (1, 2):
            raise InputError(f'RCAN lays inputs out at scales 1 and 2, not {self.scale}')
        if self.normalize and self.in_channels != len(RGB_MEAN):
            raise InputError(f'RCAN normalizes three channels, not {self.in_channels}')
        height, width = (self.scale * side for side in x.shape[1:3])
        if self.unshuffle:
            factor, factors = UNSHUFFLED_SCALE // self.scale, (2, 2)
            x = pad_to_multiple(x, factor)
        color_range = COLOR_RANGE if self.normalize else 1.0
        mean: Array | float = 0.0
        if self.normalize:
            mean = jnp.array(RGB_MEAN, jnp.float32)[None, None, None] * color_range
        x = x * color_range - mean
        if self.unshuffle:
            x = pixel_unshuffle(x, factor)
        first = self._convolve('conv_first', self.features, x)
        h = self._convolve('conv_body', self.features, self._groups(first)) + first
        for i, factor in enumerate(factors):
            h = pixel_shuffle(self._convolve(f'up_{i}', self.features * factor**2, h), factor)
        made = self._convolve('conv_last', self.in_channels, h).astype(jnp.float32)
        return crop((made + mean) / color_range, height, width)

    def _groups(self, x: Features) -> Features:
        block = nn.remat(ChannelAttentionBlock) if self.remat else ChannelAttentionBlock
        for i in range(self.num_groups):
            h = x
            for j in range(self.num_blocks):
                h = block(self.squeezed, self.dtype, name=f'group_{i}_block_{j}')(h)
            x = x + self._convolve(f'group_{i}_conv', self.features, h)
        return x

    def _convolve(self, name: str, features: int, x: Features) -> Features:
        return Convolution(features, 3, dtype=self.dtype, name=name)(x)


Model = RCAN
