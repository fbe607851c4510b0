"""SwinIR: groups of transformer blocks that look at windows, shifted in every other block.

Liang et al. 2021, "SwinIR: Image Restoration Using Swin Transformer" (arXiv:2108.10257), section 3
and figure 2, and the forms of its program (JingyunLiang/SwinIR, `network_swinir.py`).
"""

import math
from typing import ClassVar

import jax
from flax import linen as nn
from jaxtyping import Array, Float

from sr_jax.layers import windows
from sr_jax.layers.convolution import Convolution
from sr_jax.layers.reconstruction import (
    FEATURES,
    Reconstruction,
    body_radius,
    find_factors,
    head_radius,
    rgb_mean,
)
from sr_jax.layers.resampling import pixel_unshuffle
from sr_jax.layers.residual_groups import apply_groups
from sr_jax.layers.swin_block import SwinBlock
from sr_jax.layers.windows import Look, crop, pad_to_multiple, repeat_looks
from sr_jax.models.protocols import Limits, image_batch


class SwinIR(nn.Module):
    """The defaults are those of the medium network of the paper, for scale 4.

    Images are mirrored at the lower and the right edge up to whole windows, as in the original.
    There is no stochastic depth.

    Attributes:
      scale: output pixels per input pixel along a side.
      features: channels of the body; `heads` divides them.
      num_groups: residual groups of blocks.
      num_blocks: transformer blocks in each.
      heads: of each attention.
      window: side of the windows in pixels.
      hidden: channels inside of the MLPs.
      head: what makes the image: 'pixel_shuffle' (classical), 'direct' (lightweight), 'nearest'
        (real world) or 'residual' (the image plus what is missing, at scale 1).
      head_features: channels of the head, but for 'direct' and 'residual'.
      body_convolutions: after the blocks of a group, and after all groups: 1 or 3.
      unshuffle: pixels along a side that are laid out in channels at first. The head enlarges by
        so many times the scale.
      color_range: numbers that the colors take inside; 255 in the networks against JPEG artifacts.
      trained_size: side of the images that it was trained on, by which the original's files have
        masks of shifted windows in them; nothing depends on it.
      dtype: name of the type computed in; parameters and images are float32.
      remat: recompute the blocks' activations in the backward pass, for memory.
      in_channels: of images given and made.
    """

    REPEATED: ClassVar[tuple[str, ...]] = ('num_groups', 'num_blocks')
    LIMITS: ClassVar[Limits] = {'color_range': (1e-3, math.inf)}  # it is divided by
    multiple: ClassVar[int] = 1
    input_size: ClassVar[None] = None

    scale: int = 4
    features: int = 180
    num_groups: int = 6
    num_blocks: int = 6
    heads: int = 6
    window: int = 8
    hidden: int = 360
    head: str = 'pixel_shuffle'
    head_features: int = FEATURES
    body_convolutions: int = 1
    unshuffle: int = 1
    color_range: float = 1.0
    trained_size: int = 64
    dtype: str = 'float32'
    remat: bool = False
    in_channels: int = 3

    @property
    def grid(self) -> int:
        """The side in pixels of the squares that an image falls into."""
        return self.window * self.unshuffle

    @property
    def halo(self) -> int:
        """Pixels around one on which its enlargement depends."""
        whole = Look(window=self.window)
        shifted = Look(window=self.window, offset=self.window // 2)
        pair = repeat_looks([whole, shifted], -(-self.num_blocks // 2))[: self.num_blocks]
        body = Look(body_radius(self.body_convolutions))
        head = Look(head_radius(self.head, self.scale * self.unshuffle))
        groups = repeat_looks([*pair, body], self.num_groups)
        return windows.find_reach([Look(1), *groups, body, head]) * self.unshuffle

    def example(self, n: int) -> jax.ShapeDtypeStruct:
        """A batch of n images that it can be called with."""
        return image_batch(n, self.grid, 2 * self.grid, self.in_channels)

    @nn.compact
    def __call__(
        self, x: Float[Array, 'n h w c'], train: bool = False
    ) -> Float[Array, 'n h2 w2 c']:
        """Images in [0, 1], `scale` times as high and as wide (not clipped to [0, 1]).

        `train` changes nothing: no layer behaves differently in training.

        Raises:
          InputError: there is no such head, or it has no such scale, or heads that do not divide
            the features.
        """
        find_factors(self.head, self.scale * self.unshuffle)
        size = x.shape[1] * self.scale, x.shape[2] * self.scale
        x = (pad_to_multiple(x, self.grid) - rgb_mean(self.in_channels)) * self.color_range
        given = x
        x = Convolution(self.features, 3, dtype=self.dtype, name='conv_first')(
            pixel_unshuffle(x, self.unshuffle)
        )
        x = self._body(x) + x
        head = Reconstruction(
            self.head,
            self.scale * self.unshuffle,
            self.head_features,
            self.in_channels,
            self.dtype,
            name='reconstruction',
        )
        made = head(x) + given if self.head == 'residual' else head(x)
        made = made / self.color_range + rgb_mean(self.in_channels)
        return crop(made, *size)

    def _body(self, x: Float[Array, 'n h w c']) -> Float[Array, 'n h w c']:
        block = nn.remat(SwinBlock) if self.remat else SwinBlock

        def group(i: int, h: Float[Array, 'n h w c']) -> Float[Array, 'n h w c']:
            for j in range(self.num_blocks):
                shift = self.window // 2 if j % 2 else 0
                sizes = (self.heads, self.window, shift, self.hidden)
                h = block(*sizes, dtype=self.dtype, name=f'group_{i}_block_{j}')(h)
            return h

        return apply_groups(x, self.num_groups, group, self.body_convolutions, self.dtype)


Model = SwinIR
