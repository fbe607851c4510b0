"""DAT: attention over windows and over channels in turn, each beside a convolution.

Chen et al. 2023, "Dual Aggregation Transformer for Image Super-Resolution" (arXiv:2308.03364),
section 3 and figures 2 to 4, as its program has it (zhengchen1999/DAT, `dat_arch.py`).
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from sr_jax.layers.batch_norm import BatchNorm
from sr_jax.layers.channel_attention import attend_channels
from sr_jax.layers.convolution import Convolution
from sr_jax.layers.depthwise import DepthwiseConvolution
from sr_jax.layers.parameter import parameter
from sr_jax.layers.reconstruction import (
    FEATURES,
    Reconstruction,
    find_factors,
    rgb_mean,
)
from sr_jax.layers.rectangles import GatedMLP, RectangleAttention, is_shifted
from sr_jax.layers.residual_groups import apply_groups
from sr_jax.layers.tokens import gelu, layer_norm, linear
from sr_jax.layers.window_attention import split_heads
from sr_jax.layers.windows import Window, check_heads
from sr_jax.models.protocols import image_batch

CHANNEL_SQUEEZE = 8  # channels of the maps of interaction, of one
SPATIAL_SQUEEZE = 16

Features = Float[Array, 'n h w c']


class Interaction(nn.Module):
    """What makes a map of one of the two features, by which the other is multiplied.

    Attributes:
      squeezed: channels inside.
      made: channels of the map.
      over_image: of the mean over the image, one map for all pixels.
      dtype: name of the type computed in; parameters stay float32.
    """

    squeezed: int
    made: int
    over_image: bool
    dtype: str = 'float32'

    @nn.compact
    def __call__(self, x: Features, train: bool) -> Float[Array, 'n _h _w made']:
        """Factors in [0, 1]."""
        if self.over_image:
            x = x.mean(axis=(1, 2), keepdims=True)
        h = Convolution(self.squeezed, 1, dtype=self.dtype, name='conv_0')(x)
        h = gelu(BatchNorm(name='norm')(h, train).astype(self.dtype))
        return nn.sigmoid(Convolution(self.made, 1, dtype=self.dtype, name='conv_1')(h))


class Aggregation(nn.Module):
    """Attention and a convolution of its values, each multiplied by a map of the other.

    Attributes:
      heads: of the attention.
      split: None: over channels; else height and width of the windows that half of the channels
        are seen in, and the other half turned by 90 degrees.
      shifted: the windows are shifted by half of them.
      use_bias: of the queries, keys and values.
      dtype: name of the type computed in; parameters stay float32.
    """

    heads: int
    split: Window | None
    shifted: bool
    use_bias: bool
    dtype: str = 'float32'

    @nn.compact
    def __call__(self, x: Features, train: bool) -> Features:
        """Features of the same shape."""
        channels = x.shape[-1]
        qkv = linear(3 * channels, 'qkv', self.dtype, self.use_bias)(x)
        values = DepthwiseConvolution(3, self.dtype, name='conv')(qkv[..., -channels:])
        values = gelu(BatchNorm(name='norm')(values, train).astype(self.dtype))
        if self.split is None:
            attended = self._over_channels(qkv)
        else:
            windows = RectangleAttention(self.heads, self.split, self.shifted, name='windows')
            attended = windows(qkv)
        squeezed = channels // CHANNEL_SQUEEZE, channels // SPATIAL_SQUEEZE
        over_image = Interaction(squeezed[0], channels, True, self.dtype, name='channel_map')
        over_pixels = Interaction(squeezed[1], 1, False, self.dtype, name='spatial_map')
        if self.split is not None:
            joined = attended * over_image(values, train) + values * over_pixels(attended, train)
        else:
            joined = attended * over_pixels(values, train) + values * over_image(attended, train)
        return linear(channels, 'proj', self.dtype)(joined)

    def _over_channels(self, qkv: Array) -> Features:
        n, h, w, _ = qkv.shape
        start = nn.initializers.ones
        temperature = jnp.asarray(parameter(self, 'temperature', start, (self.heads, 1, 1)))
        q, k, v = split_heads(qkv.reshape(n, h * w, -1), 3, self.heads)
        return attend_channels(q, k, v, temperature[:, 0, 0]).reshape(n, h, w, -1)


class DATBlock(nn.Module):
    """Aggregation, then a gated MLP, each of normed features and added to them.

    Fields as those of `Aggregation` and `GatedMLP`.
    """

    heads: int
    split: Window | None
    shifted: bool
    use_bias: bool
    hidden: int
    dtype: str = 'float32'

    @nn.compact
    def __call__(self, x: Features, train: bool) -> Features:
        """Features of the same shape."""
        fields = (self.heads, self.split, self.shifted, self.use_bias, self.dtype)
        h = Aggregation(*fields, name='attention')(layer_norm('norm_1', self.dtype)(x), train)
        x = x + h
        mlp = GatedMLP(self.hidden, self.dtype, name='mlp')
        return x + mlp(layer_norm('norm_2', self.dtype)(x))


class DAT(nn.Module):
    """The defaults are those of the paper's DAT for scale 4.

    There is no stochastic depth. Batch norms are in 'batch_stats'.

    Attributes:
      scale: output pixels per input pixel along a side.
      features: channels of the body.
      num_groups: residual groups of blocks.
      num_blocks: blocks in each, over windows and over channels in turn.
      heads: of each attention; an even number.
      split: height and width of the windows, in which half of the channels are seen; the other
        half in windows turned by 90 degrees.
      hidden: channels inside of the MLPs.
      use_bias: of the queries, keys and values.
      head: what makes the image: 'pixel_shuffle' or 'direct' (`Reconstruction`).
      head_features: channels of the head, but for 'direct'.
      body_convolutions: after the blocks of a group, and after all groups: 1 or 3.
      trained_size: side of the images that it was trained on, by which the original's files have
        masks of shifted windows in them; nothing depends on it.
      dtype: name of the type computed in; parameters and images are float32.
      remat: recompute the blocks' activations in the backward pass, for memory.
      in_channels: of images given and made.
    """

    REPEATED: ClassVar[tuple[str, ...]] = ('num_groups', 'num_blocks')
    multiple: ClassVar[int] = 1
    input_size: ClassVar[None] = None
    halo: ClassVar[None] = None  # attention over channels looks at the whole image

    scale: int = 4
    features: int = 180
    num_groups: int = 6
    num_blocks: int = 6
    heads: int = 6
    split: Window = (8, 32)
    hidden: int = 720
    use_bias: bool = True
    head: str = 'pixel_shuffle'
    head_features: int = FEATURES
    body_convolutions: int = 1
    trained_size: int = 64
    dtype: str = 'float32'
    remat: bool = False
    in_channels: int = 3

    def example(self, n: int) -> jax.ShapeDtypeStruct:
        """A batch of n images that it can be called with."""
        return image_batch(n, 24, 32, self.in_channels)

    @nn.compact
    def __call__(self, x: Features, train: bool = False) -> Float[Array, 'n h2 w2 c']:
        """Images in [0, 1], `scale` times as high and as wide (not clipped to [0, 1]).

        In training, batch norms normalize by the batch.

        Raises:
          InputError: there is no such head, or it has no such scale, or heads that do not divide
            the features in halves.
        """
        find_factors(self.head, self.scale)
        check_heads(self.features // 2, self.heads // 2)
        mean = rgb_mean(self.in_channels)
        x = Convolution(self.features, 3, dtype=self.dtype, name='conv_first')(x - mean)
        x = self._body(x, train) + x
        head = Reconstruction(
            self.head,
            self.scale,
            self.head_features,
            self.in_channels,
            self.dtype,
            name='reconstruction',
        )
        return head(x) + mean

    def _body(self, x: Features, train: bool) -> Features:
        block = nn.remat(DATBlock, static_argnums=(2,)) if self.remat else DATBlock

        def group(i: int, h: Features) -> Features:
            for j in range(self.num_blocks):
                fields = (self.heads, self.split if j % 2 == 0 else None, is_shifted(i, j))
                rest = (self.use_bias, self.hidden, self.dtype)
                h = block(*fields, *rest, name=f'group_{i}_block_{j}')(h, train)
            return h

        return apply_groups(x, self.num_groups, group, self.body_convolutions, self.dtype)


Model = DAT
