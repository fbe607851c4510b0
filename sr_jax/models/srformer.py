"""SRFormer: attention within large windows, to keys of 2 x 2 pixels whose channels are fewer.

Zhou et al. 2023, "SRFormer: Permuted Self-Attention for Single Image Super-Resolution"
(arXiv:2303.09735), section 3 and figure 3, as its program has it (HVision-NKU/SRFormer).
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from sr_jax.layers import windows
from sr_jax.layers.convolution import Convolution
from sr_jax.layers.convolved_mlp import ConvolvedMLP
from sr_jax.layers.reconstruction import (
    FEATURES,
    Reconstruction,
    body_radius,
    find_factors,
    head_radius,
    rgb_mean,
)
from sr_jax.layers.residual_groups import apply_groups
from sr_jax.layers.tokens import layer_norm, linear
from sr_jax.layers.window_attention import attend, bias_table, look_up
from sr_jax.layers.windows import (
    Look,
    check_heads,
    crop,
    join_windows,
    pad_to_multiple,
    permuted_positions,
    permuted_regions,
    repeat_looks,
    split_windows,
)
from sr_jax.models.protocols import image_batch

TAPS = 5  # of the convolution in an MLP

Features = Float[Array, 'n h w c']


class PermutedAttention(nn.Module):
    """Self-attention within windows; a key is made of 2 x 2 pixels, a quarter of the channels each.

    Attributes:
      heads: of the attention; divides the channels.
      window: side of the windows, an even number.
      shift: pixels that they are shifted by.
      use_bias: of the queries, keys and values.
      dtype: name of the type computed in; parameters and the softmax are float32.
    """

    heads: int
    window: int
    shift: int
    use_bias: bool
    dtype: str = 'float32'

    @nn.compact
    def __call__(self, x: Features) -> Features:
        """Features of the same shape."""
        size, channels, half = x.shape[1:3], x.shape[-1], self.window // 2
        if self.shift:
            x = jnp.roll(x, (-self.shift, -self.shift), (1, 2))
        pixels = split_windows(x, (self.window, self.window))
        q = linear(channels, 'q', self.dtype, self.use_bias)(pixels)
        q = q.reshape(*q.shape[:3], self.heads, -1)
        kv = linear(channels // 2, 'kv', self.dtype, self.use_bias)(pixels)
        kv = kv.reshape(*kv.shape[:2], half, 2, half, 2, 2, channels // 4)
        kv = kv.transpose(6, 0, 1, 2, 4, 3, 5, 7)
        k, v = kv.reshape(2, *q.shape[:2], half**2, self.heads, -1)
        table = bias_table(self, 'bias_table', (2 * half - 1) ** 2, self.heads)
        regions = permuted_regions(size, self.window, self.shift) if self.shift else None
        made = attend(q, k, v, look_up(table, permuted_positions(self.window)), regions)
        made = join_windows(made, size, (self.window, self.window))
        if self.shift:
            made = jnp.roll(made, (self.shift, self.shift), (1, 2))
        return linear(channels, 'proj', self.dtype)(made)


class PermutedBlock(nn.Module):
    """Permuted attention, then an MLP, each of normed features and added to them.

    Fields as those of `PermutedAttention` and `ConvolvedMLP`.
    """

    heads: int
    window: int
    shift: int
    use_bias: bool
    hidden: int
    dtype: str = 'float32'

    @nn.compact
    def __call__(self, x: Features) -> Features:
        """Features of the same shape."""
        fields = (self.heads, self.window, self.shift, self.use_bias, self.dtype)
        attention = PermutedAttention(*fields, name='attention')
        x = x + attention(layer_norm('norm_1', self.dtype)(x))
        mlp = ConvolvedMLP(self.hidden, TAPS, self.dtype, name='mlp')
        return x + mlp(layer_norm('norm_2', self.dtype)(x))


class SRFormer(nn.Module):
    """The defaults are those of the paper's classical network for scale 4.

    Images are mirrored at the lower and the right edge up to whole windows, as in the original.
    There is no stochastic depth.

    Attributes:
      scale: output pixels per input pixel along a side.
      features: channels of the body; `heads` and 4 divide them.
      num_groups: residual groups of blocks.
      num_blocks: transformer blocks in each.
      heads: of each attention.
      window: side of the windows in pixels, an even number.
      hidden: channels inside of the MLPs.
      head: what makes the image: see `sr_jax.layers.reconstruction.Reconstruction`.
      head_features: channels of the head, but for 'direct' and 'residual'.
      body_convolutions: after the blocks of a group, and after all groups: 1 or 3.
      use_bias: of the queries, keys and values.
      trained_size: side of the images that it was trained on, in whole windows, by which the
        original's files have masks of shifted windows in them; nothing depends on it.
      dtype: name of the type computed in; parameters and images are float32.
      remat: recompute the blocks' activations in the backward pass, for memory.
      in_channels: of images given and made.
    """

    REPEATED: ClassVar[tuple[str, ...]] = ('num_groups', 'num_blocks')
    multiple: ClassVar[int] = 1
    input_size: ClassVar[None] = None

    scale: int = 4
    features: int = 180
    num_groups: int = 6
    num_blocks: int = 6
    heads: int = 6
    window: int = 24
    hidden: int = 360
    head: str = 'pixel_shuffle'
    head_features: int = FEATURES
    body_convolutions: int = 1
    use_bias: bool = True
    trained_size: int = 48
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
        mlp = Look(TAPS // 2)
        blocks = repeat_looks([whole, mlp, shifted, mlp], -(-self.num_blocks // 2))
        body = Look(body_radius(self.body_convolutions))
        head = Look(head_radius(self.head, self.scale))
        groups = repeat_looks([*blocks[: 2 * self.num_blocks], body], self.num_groups)
        return windows.find_reach([Look(1), *groups, body, head])

    def example(self, n: int) -> jax.ShapeDtypeStruct:
        """A batch of n images that it can be called with."""
        return image_batch(n, self.window, 2 * self.window, self.in_channels)

    @nn.compact
    def __call__(self, x: Features, train: bool = False) -> Float[Array, 'n h2 w2 c']:
        """Images in [0, 1], `scale` times as high and as wide (not clipped to [0, 1]).

        `train` changes nothing: no layer behaves differently in training.

        Raises:
          InputError: there is no such head, or it has no such scale, or heads that do not divide
            the features.
        """
        find_factors(self.head, self.scale)
        check_heads(self.features, self.heads)
        height, width = (self.scale * side for side in x.shape[1:3])
        mean = rgb_mean(self.in_channels)
        given = pad_to_multiple(x, self.window) - mean
        x = Convolution(self.features, 3, dtype=self.dtype, name='conv_first')(given)
        x = self._body(x) + x
        fields = (self.scale, self.head_features, self.in_channels, self.dtype)
        made = Reconstruction(self.head, *fields, name='reconstruction')(x)
        if self.head == 'residual':
            made = made + given
        return crop(made + mean, height, width)

    def _body(self, x: Features) -> Features:
        block = nn.remat(PermutedBlock) if self.remat else PermutedBlock

        def group(i: int, h: Features) -> Features:
            for j in range(self.num_blocks):
                shift = self.window // 2 if j % 2 else 0
                sizes = (self.heads, self.window, shift, self.use_bias, self.hidden)
                h = block(*sizes, self.dtype, name=f'group_{i}_block_{j}')(h)
            return h

        return apply_groups(x, self.num_groups, group, self.body_convolutions, self.dtype)


Model = SRFormer
