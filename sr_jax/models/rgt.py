"""RGT: attention within rectangles and to a small image of the whole, in turn.

Chen et al. 2023, "Recursive Generalization Transformer for Image Super-Resolution"
(arXiv:2303.06373), section 3 and figure 2, as its program has it (zhengchen1999/RGT).
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from sr_jax.errors import InputError
from sr_jax.layers.convolution import Convolution
from sr_jax.layers.depthwise import DepthwiseConvolution, DepthwiseReduction
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
from sr_jax.layers.window_attention import attend
from sr_jax.layers.windows import Window, check_heads
from sr_jax.models.protocols import image_batch

HEAD = 'pixel_shuffle'
REDUCTION = 4  # pixels along a side that become one, each time
MIN_TIMES = 2  # that an image is made smaller, but in training
SMALLEST = 16  # pixels of the small image along the longer side, at least, and 4 in training
TRAINED_SMALLEST = 4
START = 1e-4  # of what a block's input is multiplied by

Features = Float[Array, 'n h w c']


class LocalAttention(nn.Module):
    """Attention within rectangles, plus a convolution of the values.

    Attributes:
      heads: of the attention; an even number.
      split: height and width of the rectangles.
      shifted: they are shifted by half of them.
      use_bias: of the queries, keys and values.
      dtype: name of the type computed in; parameters stay float32.
    """

    heads: int
    split: Window
    shifted: bool
    use_bias: bool
    dtype: str = 'float32'

    @nn.compact
    def __call__(self, x: Features) -> Features:
        """Features of the same shape."""
        channels = x.shape[-1]
        qkv = linear(3 * channels, 'qkv', self.dtype, self.use_bias)(x)
        made = RectangleAttention(self.heads, self.split, self.shifted, name='windows')(qkv)
        made = made + DepthwiseConvolution(3, self.dtype, name='conv')(qkv[..., -channels:])
        return linear(channels, 'proj', self.dtype)(made)


class GeneralAttention(nn.Module):
    """Attention of every pixel to an image of a few, made by one strided convolution, repeated.

    Attributes:
      heads: of the attention.
      reduced: channels of the queries and keys.
      use_bias: of the queries, keys and values.
      dtype: name of the type computed in; parameters and the softmax are float32.
    """

    heads: int
    reduced: int
    use_bias: bool
    dtype: str = 'float32'

    @nn.compact
    def __call__(self, x: Features, train: bool) -> Features:
        """Features of the same shape."""
        n, h, w, channels = x.shape
        small, reduce = x, DepthwiseReduction(REDUCTION, self.dtype, name='reduce')
        for _ in range(count_reductions((h, w), train)):
            small = reduce(small)
        small = DepthwiseConvolution(3, self.dtype, name='conv_small')(small)
        small = Convolution(self.reduced, 1, dtype=self.dtype, name='conv_reduced')(small)
        small = gelu(layer_norm('norm', self.dtype)(small))

        def project(name: str, features: int, y: Array) -> Array:
            return linear(features, name, self.dtype, self.use_bias)(y)

        values = project('v', channels, small)
        values = values + DepthwiseConvolution(3, self.dtype, name='conv_values')(values)
        keys = project('k', self.reduced, small)
        q = project('q', self.reduced, x).reshape(n, h, w, self.heads, -1)  # rows as windows
        k, v = (
            jnp.repeat(y.reshape(n, 1, -1, self.heads, y.shape[-1] // self.heads), h, axis=1)
            for y in (keys, values)
        )
        return linear(channels, 'proj', self.dtype)(attend(q, k, v))


def count_reductions(size: tuple[int, int], train: bool) -> int:
    """How often an image is made smaller, by the longer side, as the original counts.

    Raises:
      InputError: of the shorter side nothing would be left.
    """
    least, times = (TRAINED_SMALLEST, 0) if train else (SMALLEST, MIN_TIMES)
    while any(side >= least * REDUCTION ** (times + 1) for side in size):
        times += 1
    if any(side < REDUCTION**times for side in size):
        raise InputError(
            f'RGT makes an image of {size[1]}x{size[0]} pixels {REDUCTION**times} times as small, '
            'and nothing is left of it: take a larger or a less oblong one'
        )
    return times


class RGTBlock(nn.Module):
    """Attention, then a gated MLP, each of normed features and added; plus x times factors.

    Attributes:
      heads: of the attention.
      split: None: to the small image; else height and width of the rectangles.
      shifted: they are shifted by half of them.
      reduced: channels of the queries and keys to the small image.
      use_bias: of the queries, keys and values.
      hidden: channels inside of the MLP.
      dtype: name of the type computed in; parameters stay float32.
    """

    heads: int
    split: Window | None
    shifted: bool
    reduced: int
    use_bias: bool
    hidden: int
    dtype: str = 'float32'

    @nn.compact
    def __call__(self, x: Features, train: bool) -> Features:
        """Features of the same shape."""
        given, h = x, layer_norm('norm_1', self.dtype)(x)
        last = (self.use_bias, self.dtype)
        if self.split is None:
            general = GeneralAttention(self.heads, self.reduced, *last, name='attention')
            x = x + general(h, train)
        else:
            fields = (self.heads, self.split, self.shifted, *last)
            x = x + LocalAttention(*fields, name='attention')(h)
        mlp = GatedMLP(self.hidden, self.dtype, name='mlp')
        x = x + mlp(layer_norm('norm_2', self.dtype)(x))
        factors = parameter(self, 'gamma', nn.initializers.constant(START), (x.shape[-1],))
        return x + given * jnp.asarray(factors, self.dtype)[None, None, None]


class RGT(nn.Module):
    """The defaults are those of the paper's RGT for scale 4. There is no stochastic depth.

    Attributes:
      scale: output pixels per input pixel along a side.
      features: channels of the body.
      num_groups: residual groups of blocks.
      num_blocks: blocks in each, over rectangles and to the small image in turn.
      heads: of each attention; an even number.
      split: height and width of the rectangles, in which half of the channels are seen; the other
        half in ones turned by 90 degrees.
      reduced: channels of the queries and keys to the small image.
      hidden: channels inside of the MLPs.
      use_bias: of the queries, keys and values.
      head_features: channels of the head.
      body_convolutions: after the blocks of a group, and after all groups: 1 or 3.
      trained_size: side of the images that it was trained on, by which the original's files have
        masks of shifted rectangles in them; nothing depends on it.
      dtype: name of the type computed in; parameters and images are float32.
      remat: recompute the blocks' activations in the backward pass, for memory.
      in_channels: of images given and made.
    """

    REPEATED: ClassVar[tuple[str, ...]] = ('num_groups', 'num_blocks')
    multiple: ClassVar[int] = 1
    input_size: ClassVar[None] = None
    halo: ClassVar[None] = None  # each pixel looks at a small image of the whole
    # How often an image is made smaller depends on its sides; of these it is the least.
    open_sides: ClassVar[tuple[int, int]] = (SMALLEST, SMALLEST * REDUCTION ** (MIN_TIMES + 1) - 1)

    scale: int = 4
    features: int = 180
    num_groups: int = 8
    num_blocks: int = 6
    heads: int = 6
    split: Window = (8, 32)
    reduced: int = 90
    hidden: int = 360
    use_bias: bool = True
    head_features: int = FEATURES
    body_convolutions: int = 1
    trained_size: int = 64
    dtype: str = 'float32'
    remat: bool = False
    in_channels: int = 3

    def example(self, n: int) -> jax.ShapeDtypeStruct:
        """A batch of n images that it can be called with."""
        return image_batch(n, 16, 32, self.in_channels)

    @nn.compact
    def __call__(self, x: Features, train: bool = False) -> Float[Array, 'n h2 w2 c']:
        """Images in [0, 1], `scale` times as high and as wide (not clipped to [0, 1]).

        In training, the small images are larger ones, as in the original.

        Raises:
          InputError: it has no such scale, heads that do not divide the features in halves, or
            images of which the small one has no pixel.
        """
        find_factors(HEAD, self.scale)
        check_heads(self.features // 2, self.heads // 2)
        mean = rgb_mean(self.in_channels)
        x = Convolution(self.features, 3, dtype=self.dtype, name='conv_first')(x - mean)
        x = self._body(x, train) + x
        fields = (self.scale, self.head_features, self.in_channels, self.dtype)
        return Reconstruction(HEAD, *fields, name='reconstruction')(x) + mean

    def _body(self, x: Features, train: bool) -> Features:
        block = nn.remat(RGTBlock, static_argnums=(2,)) if self.remat else RGTBlock

        def group(i: int, h: Features) -> Features:
            for j in range(self.num_blocks):
                fields = (
                    *(self.heads, self.split if j % 2 == 0 else None, is_shifted(i, j)),
                    *(self.reduced, self.use_bias, self.hidden, self.dtype),
                )
                h = block(*fields, name=f'group_{i}_block_{j}')(h, train)
            return h

        return apply_groups(x, self.num_groups, group, self.body_convolutions, self.dtype)


Model = RGT
