"""MoSR: gated convolutions, with large kernels of single channels on a part of them.

umzi2/MoSR, after Yu and Wang 2024, "MambaOut: Do We Really Need Mamba for Vision?"
(arXiv:2405.07992), figure 1; there is no paper of its own.
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from sr_jax.errors import InputError
from sr_jax.layers.convolution import Convolution
from sr_jax.layers.depthwise import DepthwiseConvolution
from sr_jax.layers.dysample import DySample
from sr_jax.layers.resampling import pixel_shuffle
from sr_jax.layers.tokens import layer_norm
from sr_jax.models.protocols import image_batch

HEADS = ('sub_pixel', 'ensemble', 'dysample')
ENSEMBLE = 8  # images of which an ensemble's is the mean
EPSILON = 1e-6
CENTER = 0.5  # taken off what the blocks are added to
TAIL_RADIUS = 1 + 1 + 1  # two convolutions after the blocks, and what enlarges

Features = Float[Array, 'n h w c']


def _convolve(name: str, features: int, x: Features, dtype: str, taps: int = 3) -> Features:
    return Convolution(features, taps, dtype=dtype, name=name)(x)


class GatedBlock(nn.Module):
    """Features times a gate, a part of them convolved by large kernels before; added to x.

    Attributes:
      hidden: channels inside.
      convolved: those of them that are convolved, the last ones.
      kernel_size: of these convolutions.
      dtype: name of the type computed in; parameters stay float32.
    """

    hidden: int
    convolved: int
    kernel_size: int
    dtype: str = 'float32'

    @nn.compact
    def __call__(self, x: Features) -> Features:
        """Features of the same shape."""
        h = layer_norm('norm', self.dtype, EPSILON)(x)
        h = _convolve('conv_0', 2 * self.hidden, h, self.dtype)
        gate, same, large = jnp.split(h, (self.hidden, h.shape[-1] - self.convolved), axis=-1)
        large = DepthwiseConvolution(self.kernel_size, self.dtype, name='large')(large)
        h = jax.nn.mish(gate) * jnp.concatenate([same, large], axis=-1)
        return jax.nn.mish(_convolve('conv_1', x.shape[-1], h, self.dtype)) + (x - CENTER)


class MoSR(nn.Module):
    """The defaults are those of its program for scale 4. There is no stochastic depth.

    Attributes:
      scale: output pixels per input pixel along a side, 1 or more.
      features: channels between the blocks.
      num_blocks: gated blocks.
      hidden: channels inside of them.
      convolved: those of them that large kernels convolve.
      kernel_size: of these.
      head: what enlarges: 'sub_pixel', a sub-pixel convolution; 'ensemble', the mean of eight;
        'dysample'.
      dtype: name of the type computed in; parameters and images are float32.
      remat: recompute each block in the backward pass, for memory.
      in_channels: of images given, and made but by 'dysample'.
      out_channels: of images made by 'dysample'.
    """

    REPEATED: ClassVar[tuple[str, ...]] = ('num_blocks',)
    multiple: ClassVar[int] = 1
    input_size: ClassVar[None] = None

    scale: int = 4
    features: int = 64
    num_blocks: int = 24
    hidden: int = 96
    convolved: int = 64
    kernel_size: int = 7
    head: str = 'sub_pixel'
    dtype: str = 'float32'
    remat: bool = False
    in_channels: int = 3
    out_channels: int = 3

    @property
    def halo(self) -> int | None:
        """Pixels around one on which its enlargement depends; None: on the whole image."""
        if self.head == 'dysample':  # whose offsets have no bound
            return None
        return 1 + self.num_blocks * (2 + self.kernel_size // 2) + TAIL_RADIUS

    def example(self, n: int) -> jax.ShapeDtypeStruct:
        """A batch of n images that it can be called with."""
        return image_batch(n, 24, 32, self.in_channels)

    @nn.compact
    def __call__(self, x: Features, train: bool = False) -> Float[Array, 'n h2 w2 c2']:
        """Images in [0, 1], `scale` times as high and as wide (not clipped to [0, 1]).

        `train` changes nothing: no layer behaves differently in training.

        Raises:
          InputError: a scale below 1, or there is no such head.
        """
        if self.scale < 1:
            raise InputError(f'MoSR enlarges by 1 or more, not by {self.scale!r}')
        if self.head not in HEADS:
            raise InputError(f'MoSR has no head {self.head!r}: there are {", ".join(HEADS)}')
        block = nn.remat(GatedBlock) if self.remat else GatedBlock
        fields = (self.hidden, self.convolved, self.kernel_size, self.dtype)
        h = _convolve('conv_first', self.features, x, self.dtype)
        for i in range(self.num_blocks):
            h = block(*fields, name=f'block_{i}')(h)
        h = jax.nn.mish(_convolve('conv_wide', 2 * self.features, h, self.dtype))
        h = jax.nn.mish(_convolve('conv_narrow', self.features, h, self.dtype))
        h = _convolve('conv_body', self.features, h, self.dtype, 1)
        return self._enlarge(h + (self._skip(x) - CENTER))

    def _skip(self, x: Features) -> Features:
        h = x
        for i in range(2):
            h = jax.nn.mish(_convolve(f'skip_{i}', self.features, h, self.dtype))
        return h + _convolve('skip_pixels', self.features, x, self.dtype, 1)

    def _enlarge(self, x: Features) -> Float[Array, 'n h2 w2 c2']:
        if self.head == 'dysample':
            sample = DySample(self.scale, 4, self.out_channels, self.dtype, name='dysample')
            return sample(x).astype(jnp.float32)
        channels = self.in_channels * self.scale**2
        number = ENSEMBLE if self.head == 'ensemble' else 1
        h = _convolve('conv_last', number * channels, x, self.dtype).astype(jnp.float32)
        h = h.reshape(*h.shape[:3], number, channels).mean(axis=3)
        return pixel_shuffle(h, self.scale)


Model = MoSR
