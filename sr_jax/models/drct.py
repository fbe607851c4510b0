"""DRCT: transformer blocks of windows, dense in groups: each sees what those before it made.

Hsu et al. 2024, "DRCT: Saving Image Super-Resolution away from Information Bottleneck"
(arXiv:2404.00722), section 4 and figures 4 and 5, as its program has it (ming053l/DRCT).
"""

import math
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from sr_jax.layers import windows
from sr_jax.layers.convolution import Convolution
from sr_jax.layers.reconstruction import (
    FEATURES,
    SLOPE,
    BodyConvolution,
    Reconstruction,
    find_factors,
    head_radius,
    rgb_mean,
)
from sr_jax.layers.swin_block import SwinBlock
from sr_jax.layers.tokens import layer_norm
from sr_jax.layers.windows import Look, crop, pad_to_multiple, repeat_looks
from sr_jax.models.protocols import Limits, image_batch

HEAD = 'pixel_shuffle'
NUM_BLOCKS = 5  # of a group
NARROW = 3  # blocks of a group before those whose MLPs are no wider than they are
RESIDUAL_SCALE = 0.2

Features = Float[Array, 'n h w c']


class DenseGroup(nn.Module):
    """Five blocks, each over x and what those before it made; x plus 0.2 times the last one's.

    Attributes:
      heads: of the attentions, if they divide the channels; else as many fewer as are left over.
      window: side of the windows, shifted in every other block.
      growth: channels that a block adds.
      mlp_ratio: channels inside of the first three MLPs, of one.
      use_bias: of the queries, keys and values.
      dtype: name of the type computed in; parameters stay float32.
    """

    heads: int
    window: int
    growth: int
    mlp_ratio: float
    use_bias: bool
    dtype: str = 'float32'

    @nn.compact
    def __call__(self, x: Features) -> Features:
        """Features of the same shape."""
        features = [x]
        for i in range(NUM_BLOCKS):
            h = jnp.concatenate(features, axis=-1)
            channels = h.shape[-1]
            ratio = self.mlp_ratio if i < NARROW else 1
            heads, shift = self.heads - channels % self.heads, self.window // 2 if i % 2 else 0
            fields = (heads, self.window, shift, int(channels * ratio), self.use_bias, self.dtype)
            h = SwinBlock(*fields, name=f'block_{i}')(h)
            made = self.growth if i < NUM_BLOCKS - 1 else x.shape[-1]
            h = Convolution(made, 1, dtype=self.dtype, name=f'conv_{i}')(h)
            features.append(nn.leaky_relu(h, SLOPE) if i < NUM_BLOCKS - 1 else h)
        return x + RESIDUAL_SCALE * features[-1]


class DRCT(nn.Module):
    """The defaults are those of the paper's DRCT for scale 4.

    Images are mirrored at the lower and the right edge up to whole windows; the original takes
    none whose sides are no multiples. There is no stochastic depth.

    Attributes:
      scale: output pixels per input pixel along a side.
      features: channels between the groups.
      num_groups: dense groups, each of five blocks.
      heads: of the attentions; where they do not divide a block's channels, it has fewer.
      window: side of the windows in pixels.
      growth: channels that a block of a group adds.
      mlp_ratio: channels inside of the first three MLPs of a group, of one.
      head_features: channels of the head.
      body_convolutions: after all groups: 1, or 0.
      use_bias: of the queries, keys and values.
      trained_size: side of the images that it was trained on, by which the original's files have
        masks of shifted windows in them; nothing depends on it.
      dtype: name of the type computed in; parameters and images are float32.
      remat: recompute the groups' activations in the backward pass, for memory.
      in_channels: of images given and made.
    """

    REPEATED: ClassVar[tuple[str, ...]] = ('num_groups',)
    LIMITS: ClassVar[Limits] = {'body_convolutions': (0, math.inf), 'mlp_ratio': (0, math.inf)}
    multiple: ClassVar[int] = 1
    input_size: ClassVar[None] = None

    scale: int = 4
    features: int = 180
    num_groups: int = 6
    heads: int = 6
    window: int = 16
    growth: int = 32
    mlp_ratio: float = 2.0
    head_features: int = FEATURES
    body_convolutions: int = 1
    use_bias: bool = True
    trained_size: int = 64
    dtype: str = 'float32'
    remat: bool = False
    in_channels: int = 3

    @property
    def grid(self) -> int:
        """The side in pixels of the squares that an image falls into."""
        return self.window

    @property
    def halo(self) -> int:
        """Pixels around one on which its enlargement depends."""
        whole = Look(window=self.window)
        shifted = Look(window=self.window, offset=self.window // 2)
        group = repeat_looks([whole, shifted], NUM_BLOCKS)[:NUM_BLOCKS]
        ends = [Look(self.body_convolutions), Look(head_radius(HEAD, self.scale))]
        return windows.find_reach([Look(1), *repeat_looks(group, self.num_groups), *ends])

    def example(self, n: int) -> jax.ShapeDtypeStruct:
        """A batch of n images that it can be called with."""
        return image_batch(n, self.window, 2 * self.window, self.in_channels)

    @nn.compact
    def __call__(self, x: Features, train: bool = False) -> Float[Array, 'n h2 w2 c']:
        """Images in [0, 1], `scale` times as high and as wide (not clipped to [0, 1]).

        `train` changes nothing: no layer behaves differently in training.

        Raises:
          InputError: it has no such scale.
        """
        find_factors(HEAD, self.scale)
        height, width = (self.scale * side for side in x.shape[1:3])
        mean = rgb_mean(self.in_channels)
        x = pad_to_multiple(x, self.window) - mean
        x = Convolution(self.features, 3, dtype=self.dtype, name='conv_first')(x)
        group = nn.remat(DenseGroup) if self.remat else DenseGroup
        h = layer_norm('norm_first', self.dtype)(x)
        fields = (self.heads, self.window, self.growth, self.mlp_ratio, self.use_bias, self.dtype)
        for i in range(self.num_groups):
            h = group(*fields, name=f'group_{i}')(h)
        h = layer_norm('norm_last', self.dtype)(h)
        if self.body_convolutions:
            h = BodyConvolution(self.body_convolutions, self.dtype, name='conv_body')(h)
        rest = (self.scale, self.head_features, self.in_channels, self.dtype)
        made = Reconstruction(HEAD, *rest, name='reconstruction')(h + x) + mean
        return crop(made, height, width)


Model = DRCT
